"""Small copies of images, without what a camera wrote into them."""

from __future__ import annotations

from io import BytesIO

from PIL import Image

# Longest sides in pixels: of thumbnails in galleries, and of images that anybody may see.
THUMBNAIL_SIDE = 256
PUBLISHED_SIDE = 512


def thumbnail(image: Image.Image) -> bytes:
    """Return an RGB image as a WebP whose longer side is at most 256 pixels."""
    small = _without_metadata(image.copy())
    small.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.BILINEAR, reducing_gap=2.0)
    buffer = BytesIO()
    small.save(buffer, "WEBP", quality=60, method=2)
    return buffer.getvalue()


def publishable(image: Image.Image) -> bytes:
    """Return an image as an RGB JPEG whose longer side is at most 512 pixels."""
    small = _without_metadata(image.convert("RGB"))
    small.thumbnail((PUBLISHED_SIDE, PUBLISHED_SIDE), Image.Resampling.BICUBIC)
    buffer = BytesIO()
    small.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def _without_metadata(image: Image.Image) -> Image.Image:
    """Drop profiles, positions and dates, which Pillow would write into the copy."""
    image.info.clear()
    return image
