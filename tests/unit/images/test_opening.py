"""Sizes: extreme shapes, drafts and limits."""

from __future__ import annotations

import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile

from capgen.config import ImageLimits
from capgen.errors import UsageError
from capgen.images.load import MODEL_MARGIN, load_image
from tests.unit.images.samples import (
    RED,
    WHITE,
    encoded,
    exif,
    fault,
    noise,
    pixels,
    with_chunk,
)


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (20_000, 40), (40, 20_000)])
@pytest.mark.parametrize("file_format", ["PNG", "JPEG"])
def test_extreme_shapes(size: tuple[int, int], file_format: str) -> None:
    loaded = load_image(encoded(Image.new("RGB", size, WHITE), file_format), size_hint=(224, 224))
    assert (loaded.width, loaded.height) == loaded.image.size == size
    assert (np.asarray(loaded.image) == 255).all()


@pytest.mark.parametrize(
    ("size", "hint", "decoded"),
    [
        ((4000, 3000), (288, 288), (1000, 750)),
        ((4000, 3000), (30, 30), (500, 375)),
        ((1200, 1160), (288, 288), (600, 580)),
        ((1200, 1151), (288, 288), (1200, 1151)),
        ((801, 601), (100, 100), (401, 301)),
        ((100, 100), (288, 288), (100, 100)),
    ],
)
def test_draft(size: tuple[int, int], hint: tuple[int, int], decoded: tuple[int, int]) -> None:
    data = encoded(Image.new("RGB", size, RED), "JPEG")
    loaded = load_image(data, size_hint=hint)
    assert (loaded.width, loaded.height) == size
    assert loaded.image.size == decoded
    if decoded != size:
        assert loaded.image.width >= 2 * hint[0]
        assert loaded.image.height >= 2 * hint[1]


@pytest.mark.parametrize(
    ("size", "hint", "decoded"),
    [
        ((4032, 3024), (288, 288), (504, 378)),  # of phones
        ((4000, 2880), (288, 288), (500, 360)),
        ((4000, 2879), (288, 288), (1000, 720)),
        ((4000, 3000), (384, 384), (1000, 750)),
        ((1009, 1009), (101, 101), (253, 253)),  # never below 126.25
    ],
)
def test_draft_for_a_model(
    size: tuple[int, int], hint: tuple[int, int], decoded: tuple[int, int]
) -> None:
    data = encoded(Image.new("RGB", size, RED), "JPEG")
    loaded = load_image(data, size_hint=hint, margin=MODEL_MARGIN)
    assert (loaded.width, loaded.height) == size
    assert loaded.image.size == decoded


def test_draft_of_grey_and_cmyk() -> None:
    for mode in ("L", "CMYK"):
        data = encoded(Image.new(mode, (800, 800)), "JPEG")
        assert load_image(data, size_hint=(100, 100)).image.size == (200, 200)


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP"])
def test_pixel_limit(file_format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(Image.new("L", (50, 40)), file_format)
    assert load_image(data, limits=ImageLimits(max_pixels=2000)).width == 50

    def decode(self) -> None:
        raise AssertionError("decoded before the limit was checked")

    monkeypatch.setattr(ImageFile.ImageFile, "load", decode)
    error = fault(data, limits=ImageLimits(max_pixels=1999), name="big")
    assert error.code == "too_large"
    for words in ("2,000 pixels", "50×40", "1,999", "--max-pixels"):
        assert words in error.message
    assert "--max-pixels 2000" in error.hint


def test_pixel_limit_of_images_and_headers() -> None:
    assert fault(Image.new("1", (50, 40)), limits=ImageLimits(max_pixels=1999)).code == "too_large"
    gif = bytearray(encoded(Image.new("L", (2, 2)), "GIF"))
    gif[6:10] = b"\xff" * 4
    assert "4,294,836,225 pixels" in fault(bytes(gif)).message
    webp = bytearray(encoded(Image.new("RGBA", (2, 2)), "WEBP", exif=exif(1)))
    assert webp[12:16] == b"VP8X"
    webp[24:30] = b"\xff" * 6
    assert fault(bytes(webp)).code == "too_large"
    lossless = bytearray(encoded(Image.new("RGB", (2, 2)), "WEBP", lossless=True))
    lossless[21:24] = b"\xff" * 3
    assert fault(bytes(lossless), limits=ImageLimits(max_pixels=9999)).code == "too_large"


def test_byte_limit(tmp_path: Path) -> None:
    data = encoded(Image.fromarray(noise(30, 30)), "PNG")
    path = tmp_path / "a.png"
    path.write_bytes(data)
    limits = ImageLimits(max_bytes=len(data) - 1)
    for source in (data, path):
        error = fault(source, limits=limits)
        assert error.code == "too_large"
        assert f"{len(data):,} bytes" in error.message
    assert load_image(path, limits=ImageLimits(max_bytes=len(data))).width == 30


def test_limits_are_checked() -> None:
    with pytest.raises(UsageError, match="--max-pixels"):
        ImageLimits(max_pixels=0)


@pytest.mark.parametrize("file_format", ["TIFF", "GIF", "PNG", "WEBP"])
@pytest.mark.parametrize("size", [(50, 30), (50, 50)], ids=["warned", "refused"])
def test_giants_neither_warn_nor_change_pillow(
    file_format: str, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = encoded(Image.new("RGB", size, RED), file_format)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    monkeypatch.setattr("capgen.images.decoders._PILLOW_PIXELS", 1000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded = load_image(data)
    assert Image.MAX_IMAGE_PIXELS == 1000
    assert (loaded.width, loaded.height) == size


def test_pillow_limit_that_the_caller_lowered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert fault(encoded(Image.new("RGB", (50, 50)), "TIFF")).code == "too_large"


def test_out_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(self) -> None:
        raise MemoryError

    data = encoded(Image.new("RGB", (5, 5)), "PNG")
    monkeypatch.setattr(ImageFile.ImageFile, "load", load)
    error = fault(data)
    assert (error.code, "memory" in error.message) == ("memory", True)


def test_png_metadata_is_not_unpacked() -> None:
    values = noise(5, 5)
    png = encoded(Image.fromarray(values), "PNG")
    bomb = zlib.compress(bytes(1 << 26))
    png = with_chunk(png, b"zTXt", b"Comment\0\0" + bomb)
    png = with_chunk(png, b"iCCP", b"profile\0\0" + bomb)
    png = with_chunk(png, b"tEXt", b"no null byte")
    png = with_chunk(png, b"pHYs", b"cut")
    np.testing.assert_array_equal(pixels(png), values)
