"""Small copies of images, without metadata."""

from __future__ import annotations

from io import BytesIO
from typing import Literal

from PIL import Image

# Longest sides in pixels: of thumbnails in galleries, and of published images.
THUMBNAIL_SIDE = 256
PUBLISHED_SIDE = 512


def shrunk(
    image: Image.Image, side: int, resample: Image.Resampling = Image.Resampling.LANCZOS
) -> Image.Image:
    """Return an RGB copy whose longer side is at most `side` pixels, without metadata."""
    small = image.convert("RGB")
    small.info.clear()  # profiles, positions and dates, which Pillow would write to the file
    small.thumbnail((side, side), resample)
    return small


def small_copy(
    image: Image.Image,
    side: int,
    *,
    file_format: Literal["JPEG", "WEBP"] = "JPEG",
    quality: int = 80,
    resample: Image.Resampling = Image.Resampling.LANCZOS,
) -> bytes:
    """Return the bytes of an image file at most `side` pixels long, without metadata."""
    buffer = BytesIO()
    # WebP's slower methods save few bytes of a thumbnail; JPEG has no such option.
    options = {"method": 2} if file_format == "WEBP" else {}
    shrunk(image, side, resample).save(buffer, file_format, quality=quality, **options)
    return buffer.getvalue()


def thumbnail(image: Image.Image) -> bytes:
    """Return a WebP for a gallery, made quickly since there are many."""
    quick = Image.Resampling.BILINEAR
    return small_copy(image, THUMBNAIL_SIDE, file_format="WEBP", quality=60, resample=quick)


def publishable(image: Image.Image) -> bytes:
    """Return a JPEG for publishing."""
    return small_copy(image, PUBLISHED_SIDE, quality=85, resample=Image.Resampling.BICUBIC)
