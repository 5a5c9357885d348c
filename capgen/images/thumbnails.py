"""Small copies of pictures, for galleries."""

from __future__ import annotations

from io import BytesIO

from PIL import Image

EDGE = 256
_QUALITY = 60


def thumbnail(image: Image.Image) -> bytes:
    """Return an RGB picture as a WebP whose longer side is at most 256 pixels."""
    small = image.copy()
    small.info.clear()  # no profiles, positions or dates
    small.thumbnail((EDGE, EDGE), Image.Resampling.BILINEAR, reducing_gap=2.0)
    buffer = BytesIO()
    small.save(buffer, "WEBP", quality=_QUALITY, method=2)
    return buffer.getvalue()
