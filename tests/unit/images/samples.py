"""Images, their files, and what becomes of them when they are loaded."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, features

from capgen.errors import ImageError
from capgen.images.load import load_image

RED, GREEN, BLUE, WHITE, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255,) * 3, (0,) * 3
LOSSLESS = {"PNG": {}, "BMP": {}, "TIFF": {}, "WEBP": {"lossless": True}}


def noise(height: int, width: int, channels: int = 3) -> np.ndarray:
    shape = (height, width, channels) if channels > 1 else (height, width)
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def encoded(image: Image.Image, file_format: str, **options) -> bytes:
    buffer = BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def smooth(height: int, width: int) -> Image.Image:
    """Return an image that JPEG keeps well."""
    down, across = np.mgrid[0:height, 0:width].astype(float)
    channels = (255 * across / width, 255 * down / height, np.full_like(down, 90))
    return Image.fromarray(np.stack(channels, axis=2).astype(np.uint8))


def pixels(source, **options) -> np.ndarray:
    loaded = load_image(source, **options)
    assert loaded.image.mode == "RGB"
    return np.asarray(loaded.image)


def fault(source, **options) -> ImageError:
    with pytest.raises(ImageError) as caught:
        load_image(source, **options)
    assert "\n" not in caught.value.message
    return caught.value


def exif(orientation: int) -> Image.Exif:
    data = Image.Exif()
    data[0x0112] = orientation
    return data


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def with_chunk(png: bytes, kind: bytes, data: bytes) -> bytes:
    """Put a chunk behind a PNG's header."""
    return png[:33] + chunk(kind, data) + png[33:]


def seeds() -> dict[str, bytes]:
    image = Image.fromarray(noise(16, 21))
    deep = Image.fromarray(np.arange(300, dtype=np.uint16).reshape(15, 20) * 200)
    turned = image.rotate(90)
    found = {
        "jpeg": encoded(image, "JPEG", exif=exif(6)),
        "progressive": encoded(image, "JPEG", progressive=True),
        "cmyk": encoded(image.convert("CMYK"), "JPEG"),
        "png": encoded(image, "PNG", exif=exif(5)),
        "palette": encoded(image.quantize(16), "PNG", transparency=3),
        "deep": encoded(deep, "PNG"),
        "apng": encoded(image, "PNG", save_all=True, append_images=[turned]),
        "gif": encoded(image, "GIF"),
        "gifs": encoded(image, "GIF", save_all=True, append_images=[turned], disposal=2),
        "webp": encoded(image, "WEBP", exif=exif(8)),
        "webp-lossless": encoded(image.convert("RGBA"), "WEBP", lossless=True),
        "tiff": encoded(image, "TIFF", exif=exif(3)),
        "tiff-deep": encoded(deep, "TIFF"),
        "tiff-float": encoded(deep.convert("F"), "TIFF"),
        "bmp": encoded(image, "BMP"),
        "bmp-palette": encoded(image.quantize(16), "BMP"),
    }
    if features.check("avif"):
        found["avif"] = encoded(image, "AVIF", exif=exif(2))
    return found


SEEDS = seeds()
