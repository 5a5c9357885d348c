"""Images as data URIs, bounded in size."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import NamedTuple, Self

from PIL import Image

from capgen.errors import ImageError
from capgen.images.load import load_image
from capgen.images.thumbnails import shrunk
from capgen.records import Example

# Longest side in pixels: about 20 kB per image.
_SIDE = 360
NOT_SHOWN = "it lies outside the data folder (`capgen data import --link` takes it in)"


class InlineImage(NamedTuple):
    """An image within a page, or the fault that prevents it."""

    uri: str = ""
    width: int = 0
    height: int = 0
    fault: str = ""

    @classmethod
    def of(cls, image: Image.Image, *, side: int = _SIDE) -> Self:
        """Return an image whose longer side is at most `side` pixels."""
        small = shrunk(image, side)
        return cls(data_uri(small, "JPEG"), small.width, small.height)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return the image of a file."""
        try:
            return cls.of(load_image(path, size_hint=(_SIDE, _SIDE)).image)
        except ImageError as error:
            return cls(fault=error.message)

    @classmethod
    def of_example(cls, example: Example) -> Self:
        """Return the image of an example, which others may be shown."""
        return cls(fault=NOT_SHOWN) if example.outside else cls.read(example.image)


def data_uri(image: Image.Image, kind: str) -> str:
    """Return an image as a data URI; `kind` is `JPEG` or `PNG`."""
    data = io.BytesIO()
    image.save(data, kind, quality=80) if kind == "JPEG" else image.save(data, kind)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(data.getvalue()).decode('ascii')}"
