"""Images as data URIs, bounded in size."""

from __future__ import annotations

import base64
import io
from pathlib import Path

from PIL import Image

from capgen.errors import ImageError
from capgen.images.load import load_image
from capgen.pages.page import text

# Longest side in pixels: about 20 kB per image.
_SIDE = 360


def image(path: Path, alt: str) -> str:
    """Return an `<img>` of an image, or a panel that says why there is none.

    Args:
        path: The image.
        alt: What it shows, for those who do not see it.
    """
    try:
        image = load_image(path, size_hint=(_SIDE, _SIDE)).image
    except ImageError as error:
        return f'<div class="missing">No image: {text(error.message)}</div>'
    image.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    width, height = image.size
    return (
        f'<img src="{data_uri(image, "JPEG")}" alt="{text(alt)}" width="{width}" height="{height}">'
    )


def data_uri(image: Image.Image, kind: str) -> str:
    """Return an image as a data URI of that kind: `JPEG` or `PNG`."""
    data = io.BytesIO()
    image.save(data, kind, quality=80) if kind == "JPEG" else image.save(data, kind)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(data.getvalue()).decode('ascii')}"
