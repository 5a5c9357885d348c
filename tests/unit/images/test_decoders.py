"""Every format is decoded, with exact pixels where that is possible, or named as what it is."""

from __future__ import annotations

import errno
import logging
import struct
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile, JpegImagePlugin, features

from capgen.config import ImageLimits
from capgen.errors import ImageError
from capgen.images.load import load_image
from tests.broken_images import png_without_palette, tiff
from tests.unit.images.samples import (
    BLUE,
    GREEN,
    LOSSLESS,
    RED,
    SEEDS,
    encoded,
    fault,
    noise,
    pixels,
    smooth,
)

# --- formats


@pytest.mark.parametrize("file_format", LOSSLESS)
def test_lossless_formats(file_format: str) -> None:
    values = noise(7, 9)
    data = encoded(Image.fromarray(values), file_format, **LOSSLESS[file_format])
    loaded = load_image(data)
    np.testing.assert_array_equal(np.asarray(loaded.image), values)
    assert (loaded.width, loaded.height, loaded.format) == (9, 7, file_format)


@pytest.mark.parametrize(
    ("file_format", "options"),
    [
        ("JPEG", {"quality": 95, "subsampling": 0}),
        ("JPEG", {"quality": 95, "progressive": True}),
        ("AVIF", {"quality": 95}),
        ("WEBP", {"quality": 95}),
        ("TIFF", {"compression": "jpeg", "quality": 95}),
    ],
)
def test_lossy_formats(file_format: str, options: dict) -> None:
    if file_format == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    image = smooth(64, 80)
    got = pixels(encoded(image, file_format, **options)).astype(int)
    assert np.abs(got - np.asarray(image)).mean() < 3


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_compressed_tiff(compression: str) -> None:
    values = noise(7, 9)
    data = encoded(Image.fromarray(values), "TIFF", compression=compression)
    np.testing.assert_array_equal(pixels(data), values)


@pytest.mark.parametrize("file_format", ["GIF", "PNG", "WEBP", "TIFF"])
def test_first_frame(file_format: str) -> None:
    frames = [Image.new("RGB", (4, 3), colour) for colour in (RED, GREEN, BLUE)]
    options = {"lossless": True} if file_format == "WEBP" else {}
    data = encoded(frames[0], file_format, save_all=True, append_images=frames[1:], **options)
    assert (pixels(data) == RED).all()


def test_mpo_is_read_as_its_first_jpeg() -> None:
    second = smooth(16, 16).rotate(90)
    data = encoded(smooth(64, 64), "MPO", save_all=True, append_images=[second])
    loaded = load_image(data)
    assert (loaded.width, loaded.height, loaded.format) == (64, 64, "JPEG")


def test_heic(tmp_path: Path) -> None:
    heif = pytest.importorskip("pillow_heif")
    path = tmp_path / "photo.heic"
    image = smooth(64, 80)
    heif.from_pillow(image).save(path, quality=95)
    loaded = load_image(path)
    assert (loaded.width, loaded.height, loaded.format) == (80, 64, "HEIF")
    assert np.abs(np.asarray(loaded.image).astype(int) - np.asarray(image)).mean() < 3


def test_heic_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    error = fault(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 99, name="a.heic")
    assert error.code == "unsupported"
    assert "capgen[heic]" in error.hint


def test_name_suffix_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(encoded(Image.new("RGB", (2, 2), RED), "PNG"))
    assert load_image(path).format == "PNG"


# --- faults


@pytest.mark.parametrize(
    ("data", "code", "words"),
    [
        (b"", "empty", "empty"),
        (b"hello, this is text\n" * 9, "not_an_image", "text"),
        ("größe".encode() * 300, "not_an_image", "text"),
        ("hello".encode("utf-16"), "not_an_image", "text"),
        (b"\n<!DOCTYPE html><html>404</html>", "not_an_image", "web page"),
        (b"%PDF-1.7 ...", "not_an_image", "PDF"),
        (b"PK\3\4zip", "not_an_image", "ZIP"),
        (b"version https://git-lfs.github.com/spec/v1\n", "not_an_image", "Git LFS"),
        (b"\0\0\0\x18ftypisom\0\0\2\0isomiso2", "not_an_image", "video"),
        (bytes(range(256)), "not_an_image", "unknown"),
        (b"\0", "not_an_image", "unknown"),
        (b"<?xml version='1.0'?>\n<svg xmlns='x'/>", "unsupported", "SVG"),
        (b"8BPS" + b"\0" * 30, "unsupported", "Photoshop"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "unsupported", "JPEG 2000"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "unsupported", "JPEG XL"),
        (b"P6\n1 1\n255\nabc", "unsupported", "PPM"),
        (b"\xff\xd8\xff\xe0", "truncated", "is truncated"),
        (b"\x89PNG\r\n\x1a\n", "truncated", "is truncated"),
        (struct.pack("<2sIIII42x", b"BM", 60, 0, 18, 41), "unreadable", "broken BMP"),
    ],
)
def test_what_is_not_a_image(tmp_path: Path, data: bytes, code: str, words: str) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(data)
    error = fault(path)
    assert error.code == code
    assert error.message.startswith(f"{path}: ")
    assert words in error.message


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
@pytest.mark.parametrize("part", [0.3, 0.6, 0.9])
def test_truncated(file_format: str, part: float) -> None:
    if file_format == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    data = encoded(Image.fromarray(noise(64, 64)), file_format)
    assert fault(data[: int(part * len(data))], name="a").code == "truncated"


def test_broken_pixels_are_not_called_truncated() -> None:
    data = bytearray(encoded(Image.fromarray(noise(64, 64)), "PNG"))
    data[200:220] = bytes(20)
    assert fault(bytes(data)).code == "unreadable"


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (png_without_palette(), "AssertionError"),
        (tiff({273: (11, 3.0)}), "TypeError"),
        (tiff({700: (3, 1)}), "TypeError"),
        (tiff({273: (16, 2**63)}), "OverflowError"),
        (tiff({34665: (16, 2**63)}), "OverflowError"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_whatever_pillow_raises_is_the_fault_of_the_image(
    data: bytes, cause: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "capgen"):
        error = fault(data, name="a.png")
    assert error.code in ("unreadable", "unsupported")
    assert error.message.startswith("a.png: ")
    (record,) = caplog.records  # what a report of a decoder's bug needs
    assert "Traceback" in logging.Formatter().format(record)
    assert cause in logging.Formatter().format(record)


UNEXPECTED = [AssertionError(), TypeError("no"), KeyError(7), OverflowError("big"), LookupError()]


@pytest.mark.parametrize("raised", UNEXPECTED, ids=repr)
@pytest.mark.parametrize("method", ["_open", "draft", "load", "convert"])
def test_every_call_of_a_decoder_is_covered(
    method: str, raised: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = encoded(Image.new("L", (5, 5)), "JPEG")

    def broken(self: object, *_: object, **__: object) -> None:
        raise raised

    monkeypatch.setattr(JpegImagePlugin.JpegImageFile, method, broken)
    error = fault(data, name="a", size_hint=(2, 2))
    assert error.code == ("unsupported" if method == "convert" else "unreadable")
    assert error.__cause__ is raised or error.__cause__.__cause__ is raised


@pytest.mark.parametrize("raised", [KeyboardInterrupt, SystemExit])
def test_ctrl_c_is_no_fault_of_a_image(
    raised: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = encoded(Image.new("RGB", (5, 5)), "PNG")

    def load(self: object) -> None:
        raise raised

    monkeypatch.setattr(ImageFile.ImageFile, "load", load)
    with pytest.raises(raised):
        load_image(data)


def test_a_bug_of_capgen_is_no_fault_of_a_image(monkeypatch: pytest.MonkeyPatch) -> None:
    def upright(*_: object) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr("capgen.images.load.upright", upright)
    with pytest.raises(ValueError, match="a bug"):
        load_image(encoded(Image.new("RGB", (5, 5)), "PNG"))


def test_what_the_system_says_is_not_called_broken_data(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(tiff())
    image = Image.open(tmp_path / "a.tif")

    def load() -> None:
        raise OSError(errno.EIO, "Input/output error")

    image.load = load  # type: ignore[method-assign]
    assert fault(image, name="a").message == "a: Input/output error"


def test_a_closed_image_is_not_called_cut_short() -> None:
    image = Image.open(BytesIO(encoded(Image.fromarray(noise(64, 64)), "JPEG")))
    image.close()
    assert fault(image, name="a").code == "unreadable"


FLIPS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=6)


@settings(max_examples=600, deadline=None)
@given(kind=st.sampled_from(sorted(SEEDS)), cut=st.none() | st.floats(0, 1), flips=FLIPS)
@pytest.mark.filterwarnings("ignore")
def test_damage_gives_a_image_or_an_image_error(
    kind: str, cut: float | None, flips: list[tuple[float, int]]
) -> None:
    data = bytearray(SEEDS[kind])
    for place, value in flips:
        # Squared: half of the damage goes into the first quarter, where the headers are.
        data[int(place**2 * (len(data) - 1))] = value
    if cut is not None:
        data = data[: int(cut * len(data))]
    limits = ImageLimits(max_pixels=1_000_000)
    try:
        loaded = load_image(bytes(data), limits=limits, size_hint=(2, 2))
    except ImageError as error:
        assert error.code != "missing"
        assert "\n" not in error.message
    else:
        assert loaded.image.mode == "RGB"
        assert 0 < loaded.width * loaded.height <= 1_000_000
