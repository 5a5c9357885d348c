"""Images as data URIs, bounded in size."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from PIL import Image

from capgen.errors import ImageError
from capgen.images.load import load_image

# Longest side in pixels: about 20 kB per image.
_SIDE = 360


@dataclass(frozen=True, kw_only=True)
class InlineImage:
    """An image within a page, or why there is none.

    Attributes:
        alt: What it shows, for those who do not see it.
        uri: The image itself.
        width: In pixels.
        height: In pixels.
        fault: Why there is no image.
    """

    alt: str
    uri: str = ""
    width: int = 0
    height: int = 0
    fault: str = ""

    @classmethod
    def of(cls, image: Image.Image, alt: str, *, side: int = _SIDE) -> Self:
        """Return an image whose longer side is at most `side` pixels."""
        small = image.copy()
        small.thumbnail((side, side), Image.Resampling.LANCZOS)
        return cls(alt=alt, uri=data_uri(small, "JPEG"), width=small.width, height=small.height)

    @classmethod
    def read(cls, path: Path, alt: str) -> Self:
        """Return the image of a file."""
        try:
            return cls.of(load_image(path, size_hint=(_SIDE, _SIDE)).image, alt)
        except ImageError as error:
            return cls(alt=alt, fault=error.message)


def data_uri(image: Image.Image, kind: str) -> str:
    """Return an image as a data URI of that kind: `JPEG` or `PNG`."""
    data = io.BytesIO()
    image.save(data, kind, quality=80) if kind == "JPEG" else image.save(data, kind)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(data.getvalue()).decode('ascii')}"
