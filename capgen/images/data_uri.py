"""Photos as they may be shown to anybody: small, and without what a camera wrote into them."""

from __future__ import annotations

from io import BytesIO

from PIL import Image

EDGE = 512
_QUALITY = 85


def publishable_photo(image: Image.Image) -> bytes:
    """Return an RGB picture as a JPEG whose longer side is at most 512 pixels, no metadata."""
    small = image.convert("RGB")
    small.thumbnail((EDGE, EDGE), Image.Resampling.BICUBIC)
    small.info.clear()
    buffer = BytesIO()
    small.save(buffer, "JPEG", quality=_QUALITY)
    return buffer.getvalue()
