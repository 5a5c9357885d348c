"""Decoding: every mode, orientation and fault, with exact pixels where that is possible."""

from __future__ import annotations

import errno
import logging
import os
import struct
import subprocess
import sys
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile, JpegImagePlugin, features

from capgen.config import ImageLimits
from capgen.errors import ImageError, UsageError
from capgen.images.load import load_image
from tests.broken_images import png_without_palette, tiff

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


# --- sources


@pytest.mark.parametrize("name", ["a b.png", "ünï.png", "line\nbreak.png", "[red].png", "%s.png"])
def test_odd_names(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(encoded(Image.new("RGB", (1, 1), RED), "PNG"))
    assert (pixels(str(path)) == RED).all()
    path.write_bytes(b"")
    assert name.replace("\n", "\\n") in fault(path).message


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names are Unicode there")
def test_name_that_is_not_utf8(tmp_path: Path) -> None:
    path = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png")
    Path(path).write_bytes(encoded(Image.new("RGB", (1, 1), RED), "PNG"))
    assert (pixels(path) == RED).all()
    Path(path).write_bytes(b"")
    message = fault(path).message
    assert "caf\\udce9.png" in message
    message.encode()  # fit to be printed


def test_pipe() -> None:
    read, write = os.pipe()
    with os.fdopen(write, "wb") as pipe:
        pipe.write(encoded(Image.new("RGB", (3, 2), RED), "PNG"))
    assert (pixels(f"/dev/fd/{read}") == RED).all()
    os.close(read)


def test_pil_image_is_turned_once() -> None:
    data = encoded(Image.fromarray(noise(4, 6)), "PNG", exif=exif(6))
    once = load_image(Image.open(BytesIO(data)))
    np.testing.assert_array_equal(np.asarray(once.image), pixels(data))
    again = load_image(once.image)
    np.testing.assert_array_equal(np.asarray(again.image), pixels(data))
    assert (once.width, once.height, once.format) == (4, 6, "PNG")


def test_pil_image_that_cannot_be_loaded() -> None:
    data = encoded(Image.fromarray(noise(40, 40)), "PNG")
    assert fault(Image.open(BytesIO(data[:500]))).code == "truncated"
    assert fault(Image.new("RGB", (0, 5))).code == "empty"


def test_pil_image_is_not_changed() -> None:
    image = Image.new("RGBA", (2, 2), (255, 0, 0, 0))
    assert (pixels(image) == WHITE).all()
    assert image.mode == "RGBA"
    assert image.getpixel((0, 0)) == (255, 0, 0, 0)


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.full((2, 3), 7, np.uint8), (7, 7, 7)),
        (np.full((2, 3, 1), 7, np.uint8), (7, 7, 7)),
        (np.full((2, 3, 3), RED, np.uint8), RED),
        (np.full((2, 3, 4), (255, 0, 0, 0), np.uint8), WHITE),
        (np.full((2, 3), 257 * 9, np.uint16), (9, 9, 9)),
        (np.full((2, 3, 3), 65535, np.uint16), WHITE),
        (np.full((2, 3), True), WHITE),
        (np.full((2, 3, 3), 0.5), (128, 128, 128)),
        (np.full((2, 3), 1.0001, np.float32), WHITE),
        (np.full((2, 3), 0.25, np.float16), (64, 64, 64)),
        (np.full((4, 6, 3), RED, np.uint8)[::-2, ::2], RED),
    ],
)
def test_arrays(array: np.ndarray, expected: tuple[int, int, int]) -> None:
    loaded = load_image(array)
    assert (loaded.width, loaded.height, loaded.format) == (3, 2, None)
    assert (np.asarray(loaded.image) == expected).all()


@pytest.mark.parametrize(
    ("array", "code", "words"),
    [
        (np.zeros((2, 3, 2), np.uint8), "unsupported", "shape (2, 3, 2)"),
        (np.zeros((3, 20, 20), np.uint8), "unsupported", "channels go last"),
        (np.zeros(5, np.uint8), "unsupported", "shape (5,)"),
        (np.zeros((1, 2, 2, 3), np.uint8), "unsupported", "shape (1, 2, 2, 3)"),
        (np.zeros((2, 3), np.int64), "unsupported", "int64"),
        (np.zeros((2, 3), np.complex64), "unsupported", "complex64"),
        (np.full((2, 3), 200.0), "unsupported", "200"),
        (np.full((2, 3), np.nan), "unsupported", "nan"),
        (np.zeros((0, 3), np.uint8), "empty", "no pixels"),
    ],
)
def test_bad_arrays(array: np.ndarray, code: str, words: str) -> None:
    error = fault(array, name="frame 3")
    assert error.code == code
    assert error.message.startswith("frame 3: ")
    assert words in error.message


def test_other_sources_are_refused() -> None:
    assert "int" in fault(3).message


# --- orientation

UPRIGHT = np.array([[RED, GREEN, BLUE], [WHITE, BLACK, (9, 9, 9)]], dtype=np.uint8)
# How a camera stores UPRIGHT for each orientation.
STORED = {
    1: UPRIGHT,
    2: UPRIGHT[:, ::-1],
    3: UPRIGHT[::-1, ::-1],
    4: UPRIGHT[::-1],
    5: UPRIGHT.transpose(1, 0, 2),
    6: np.rot90(UPRIGHT, 1),
    7: np.rot90(UPRIGHT, 2).transpose(1, 0, 2),
    8: np.rot90(UPRIGHT, 3),
}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("file_format", ["PNG", "WEBP", "TIFF"])
def test_orientation(file_format: str, orientation: int) -> None:
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation]))
    options = {"lossless": True} if file_format == "WEBP" else {}
    loaded = load_image(encoded(stored, file_format, exif=exif(orientation), **options))
    np.testing.assert_array_equal(np.asarray(loaded.image), UPRIGHT)
    assert (loaded.width, loaded.height) == (3, 2)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("file_format", ["JPEG", "AVIF"])
@pytest.mark.parametrize("hint", [None, (16, 16)], ids=["whole", "hint"])
def test_orientation_of_lossy_formats(
    file_format: str, orientation: int, hint: tuple[int, int] | None
) -> None:
    if file_format == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    blocks = UPRIGHT.repeat(100, 0).repeat(100, 1)
    turn = {5: blocks.transpose(1, 0, 2), 7: np.rot90(blocks, 2).transpose(1, 0, 2)}
    turn |= {1: blocks, 2: blocks[:, ::-1], 3: blocks[::-1, ::-1], 4: blocks[::-1]}
    turn |= {6: np.rot90(blocks, 1), 8: np.rot90(blocks, 3)}
    stored = Image.fromarray(np.ascontiguousarray(turn[orientation]))
    data = encoded(stored, file_format, exif=exif(orientation), quality=95)
    loaded = load_image(data, size_hint=hint)
    assert (loaded.width, loaded.height) == (300, 200)
    small = np.asarray(loaded.image.resize((3, 2), Image.Resampling.BOX)).astype(int)
    assert np.abs(small - UPRIGHT).max() < 12


def test_orientation_big_endian_and_as_long() -> None:
    for order, mark in (("<", b"II*\0"), (">", b"MM\0*")):
        for kind, code in ((3, "HH"), (4, "L")):
            value = struct.pack(order + code, *((6, 0) if kind == 3 else (6,)))
            entry = struct.pack(order + "HHL", 0x0112, kind, 1) + value
            block = mark + struct.pack(order + "LH", 8, 1) + entry + b"\0" * 4
            png = encoded(Image.fromarray(noise(4, 6)), "PNG")
            assert load_image(with_chunk(png, b"eXIf", block)).width == 4


@pytest.mark.parametrize(
    "block",
    [
        b"",
        b"Exif\0\0",
        b"II*\0",
        b"II*\0\xff\xff\xff\xff",
        b"MM\0*\0\0\0\x08\xff\xff" + b"\x01" * 30,
        b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x09\0\0\0",  # orientation 9
        b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0",  # cut in the tag
        b"garbage" * 20,
    ],
)
def test_broken_exif_does_not_lose_the_image(block: bytes) -> None:
    values = noise(4, 6)
    png = with_chunk(encoded(Image.fromarray(values), "PNG"), b"eXIf", block)
    np.testing.assert_array_equal(pixels(png), values)
    jpeg = encoded(smooth(8, 16), "JPEG")
    app1 = b"\xff\xe1" + struct.pack(">H", len(block) + 8) + b"Exif\0\0" + block
    with warnings.catch_warnings():  # Pillow's, about the EXIF
        warnings.simplefilter("ignore")
        assert load_image(jpeg[:2] + app1 + jpeg[2:]).width == 16


# --- modes and depths


def test_grey_and_one_bit() -> None:
    grey = noise(5, 6, 1)
    expected = np.stack([grey] * 3, axis=2)
    np.testing.assert_array_equal(pixels(encoded(Image.fromarray(grey), "PNG")), expected)
    bits = Image.fromarray(grey > 127)
    assert bits.mode == "1"
    for options in ({"format": "PNG"}, {"format": "TIFF", "compression": "group4"}):
        data = encoded(bits, options.pop("format"), **options)
        np.testing.assert_array_equal(pixels(data)[..., 0], np.where(grey > 127, 255, 0))


def test_cmyk_tiff() -> None:
    cmyk = Image.new("CMYK", (2, 2), (0, 255, 255, 0))
    assert (pixels(encoded(cmyk, "TIFF")) == RED).all()
    assert (pixels(Image.new("CMYK", (2, 2), (0, 0, 0, 255))) == BLACK).all()


def test_cmyk_jpeg_as_adobe_inverts_it() -> None:
    data = encoded(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", quality=95)
    assert b"Adobe" in data[:200]
    assert np.abs(pixels(data).astype(int) - RED).max() <= 6


@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled(file_format: str) -> None:
    values = np.array([[0, 128, 129, 257, 25700, 40000, 65406, 65407, 65535]], dtype=np.uint16)
    expected = np.rint(values / 257).astype(int)
    assert expected.tolist() == [[0, 0, 1, 1, 100, 156, 254, 255, 255]]
    got = pixels(encoded(Image.fromarray(values), file_format))
    np.testing.assert_array_equal(got, np.stack([expected] * 3, axis=2))


def test_sixteen_bits_big_endian_tiff() -> None:
    values = np.array([[0, 25700, 65535]], dtype=">u2")
    tags = [(256, 3), (257, 1), (258, 16), (259, 1), (262, 1), (273, 122), (278, 1), (279, 6)]
    entries = b"".join(struct.pack(">HHLHH", tag, 3, 1, value, 0) for tag, value in tags)
    head = b"MM\0*" + struct.pack(">LH", 8, len(tags)) + entries + b"\0" * 4
    data = head.ljust(122, b"\0") + values.tobytes()
    np.testing.assert_array_equal(pixels(data)[0, :, 0], [0, 100, 255])


def test_sixteen_bit_rgb_png() -> None:
    rows = b"\0" + struct.pack(">6H", 65535, 0, 25700, 0, 65535, 32768)
    header = struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows))
    np.testing.assert_array_equal(
        pixels(data + chunk(b"IEND", b"")), [[[255, 0, 100], [0, 255, 128]]]
    )


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0.0, 0.5, 1.0]], np.float32), [0, 128, 255]),
        (np.array([[0.0, 100.0, 255.0]], np.float32), [0, 100, 255]),
        (np.array([[0.0, 25700.0, 65535.0]], np.float32), [0, 100, 255]),
        (np.array([[-10.0, 0.0, 10.0]], np.float32), [0, 128, 255]),
        (np.array([[np.nan, 1.0, np.inf]], np.float32), [0, 255, 255]),
        (np.array([[np.nan, np.nan]], np.float32), [0, 0]),
        (np.array([[7.5, 7.5]], np.float32), [8, 8]),
        (np.array([[-4.0, -4.0]], np.float32), [0, 0]),
        (np.array([[0, 1, 255]], np.int32), [0, 1, 255]),
        (np.array([[0, 25700, 65535]], np.int32), [0, 100, 255]),
        (np.array([[0, 2**30, 2**31 - 1]], np.int32), [0, 128, 255]),
        (np.array([[-(2**31), 2**31 - 1]], np.int32), [0, 255]),
    ],
)
def test_numbers_without_a_range(values: np.ndarray, expected: list[int]) -> None:
    data = encoded(Image.fromarray(values), "TIFF")
    np.testing.assert_array_equal(pixels(data)[0, :, 0], expected)


@pytest.mark.parametrize("size", [(40, 31), (1, 500), (500, 1), (9, 9)])
@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float32])
def test_numbers_are_converted_in_pieces(
    size: tuple[int, int], dtype: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = np.random.default_rng(1).integers(0, 65536, size[::-1]).astype(dtype)
    values[0, 0], values[-1, -1] = 0, 65535
    image = Image.fromarray(values)
    whole = pixels(image)
    np.testing.assert_array_equal(whole[..., 0], np.rint(values / 257))
    pieces: list[int] = []
    real = Image.Image.crop

    def crop(self: Image.Image, box: tuple[int, int, int, int]) -> Image.Image:
        pieces.append((box[2] - box[0]) * (box[3] - box[1]))
        return real(self, box)

    monkeypatch.setattr(Image.Image, "crop", crop)
    monkeypatch.setattr("capgen.images.to_rgb._BLOCK_PIXELS", 81)
    np.testing.assert_array_equal(pixels(image), whole)
    assert max(pieces) <= 81
    assert sum(pieces) % (size[0] * size[1]) == 0


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("RGBA", (255, 0, 0, 255), RED),
        ("RGBA", (255, 0, 0, 0), WHITE),
        ("RGBA", (255, 0, 0, 128), (255, 127, 127)),
        ("LA", (0, 255), BLACK),
        ("LA", (0, 51), (204, 204, 204)),
        ("RGBa", (128, 0, 0, 128), (255, 127, 127)),
        ("La", (0, 51), (204, 204, 204)),
        ("HSV", (0, 255, 255), RED),
        ("RGBX", (255, 0, 0, 0), RED),
        ("YCbCr", (255, 128, 128), WHITE),
    ],
)
def test_modes(mode: str, colour: tuple[int, ...], expected: tuple[int, ...]) -> None:
    assert (pixels(Image.new(mode, (3, 2), colour)) == expected).all()


@pytest.mark.parametrize(("mode", "key"), [("P", "x"), ("P", 300), ("L", "x")])
def test_nonsense_transparency(mode: str, key: object) -> None:
    image = Image.new(mode, (2, 2))
    image.info["transparency"] = key
    error = fault(image, name="frame 3")
    assert error.code == "unsupported"
    assert error.message.startswith(f"frame 3: pixels of mode {mode} cannot")


def test_lab_tiff() -> None:
    red, green, blue = pixels(encoded(Image.new("LAB", (2, 2), (128, 200, 128)), "TIFF"))[0, 0]
    assert red > green
    assert red > blue


@pytest.mark.parametrize("file_format", ["PNG", "WEBP", "TIFF"])
def test_alpha_on_white(file_format: str) -> None:
    values = noise(6, 5, 4)
    values[0, :, 3], values[1, :, 3] = 0, 255
    options = {"lossless": True, "exact": True} if file_format == "WEBP" else {}
    got = pixels(encoded(Image.fromarray(values), file_format, **options)).astype(int)
    alpha = values[..., 3:] / 255
    expected = np.rint(values[..., :3] * alpha + 255 * (1 - alpha))
    assert np.abs(got - expected).max() <= 1
    assert (got[0] == 255).all()
    np.testing.assert_array_equal(got[1], values[1, :, :3])


def palette_image() -> Image.Image:
    image = Image.new("P", (3, 1))
    image.putpalette([*RED, *GREEN, *BLUE])
    image.putdata([0, 1, 2])
    return image


@pytest.mark.parametrize(
    ("file_format", "transparency", "expected"),
    [
        ("PNG", None, [RED, GREEN, BLUE]),
        ("BMP", None, [RED, GREEN, BLUE]),
        ("GIF", None, [RED, GREEN, BLUE]),
        ("PNG", 1, [RED, WHITE, BLUE]),
        ("GIF", 1, [RED, WHITE, BLUE]),
        ("PNG", bytes([255, 0, 128]), [RED, WHITE, (127, 127, 255)]),
    ],
)
def test_palette(file_format: str, transparency: int | bytes | None, expected: list) -> None:
    options = {} if transparency is None else {"transparency": transparency}
    np.testing.assert_array_equal(
        pixels(encoded(palette_image(), file_format, **options)), [expected]
    )


def test_palette_with_alpha() -> None:
    image = palette_image().convert("RGBA").convert("PA")
    image.putalpha(Image.fromarray(np.array([[255, 0, 255]], np.uint8)))
    assert image.mode == "PA"
    np.testing.assert_array_equal(pixels(image), [[RED, WHITE, BLUE]])


@pytest.mark.parametrize(("mode", "key"), [("L", 7), ("RGB", RED), ("1", 0), ("I;16", 700)])
def test_transparent_colour(mode: str, key: int | tuple[int, int, int]) -> None:
    if mode == "I;16":
        image = Image.fromarray(np.array([[700, 25700]], np.uint16))
        expected = [WHITE, (100,) * 3]
    else:
        image = Image.new(mode, (2, 1), key)
        image.putpixel((1, 0), 1 if mode == "1" else 0 if mode == "L" else BLUE)
        expected = [WHITE, {"1": WHITE, "L": BLACK, "RGB": BLUE}[mode]]
    np.testing.assert_array_equal(pixels(encoded(image, "PNG", transparency=key)), [expected])


# --- sizes


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
    assert (error.code, "memory" in error.message) == ("too_large", True)


def test_png_metadata_is_not_unpacked() -> None:
    values = noise(5, 5)
    png = encoded(Image.fromarray(values), "PNG")
    bomb = zlib.compress(bytes(1 << 26))
    png = with_chunk(png, b"zTXt", b"Comment\0\0" + bomb)
    png = with_chunk(png, b"iCCP", b"profile\0\0" + bomb)
    png = with_chunk(png, b"tEXt", b"no null byte")
    png = with_chunk(png, b"pHYs", b"cut")
    np.testing.assert_array_equal(pixels(png), values)


# --- faults


def test_missing_and_folder(tmp_path: Path) -> None:
    assert fault(tmp_path / "no.jpg").code == "missing"
    assert fault("").code == "missing"
    assert fault("nul\0byte.jpg").code == "missing"
    assert "not download" in fault("https://example.org/a.jpg").hint
    (tmp_path / "link.jpg").symlink_to(tmp_path / "no.jpg")
    assert "link" in fault(tmp_path / "link.jpg").message
    (tmp_path / "file").write_text("x")
    assert fault(tmp_path / "file" / "a.jpg").code == "missing"
    error = fault(tmp_path)
    assert (error.code, "folder" in error.message) == ("unreadable", True)
    assert fault("a" * 5000).code == "unreadable"
    if Path("/dev/zero").exists():
        assert fault("/dev/zero").code == "unreadable"


def test_link_loop(tmp_path: Path) -> None:
    (tmp_path / "loop.jpg").symlink_to(tmp_path / "loop.jpg")
    assert fault(tmp_path / "loop.jpg").code == "unreadable"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "secret.jpg"
    path.write_bytes(encoded(Image.new("RGB", (1, 1)), "JPEG"))
    path.chmod(0)
    load_image(encoded(Image.new("RGB", (1, 1)), "JPEG"))  # import what the child needs
    monkeypatch.chdir(tmp_path)  # its parents may be closed to others
    tmp_path.chmod(0o755)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:  # root may read everything: become nobody
            if os.getuid() == 0:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
            load_image("secret.jpg")
        except ImageError as error:
            os.write(write, f"{error.code}|{error.message}".encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        assert pipe.read() == "permission|secret.jpg: not allowed to read it"
    os.waitpid(child, 0)


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
        (b"\xff\xd8\xff\xe0", "truncated", "cut short"),
        (b"\x89PNG\r\n\x1a\n", "truncated", "cut short"),
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


# --- threads and streams


def test_threads_decode_the_same() -> None:
    sources = [*SEEDS.values()] * 4
    expected = [pixels(data) for data in sources]
    with ThreadPoolExecutor(4) as pool:
        for got, wanted in zip(pool.map(pixels, sources), expected, strict=True):
            np.testing.assert_array_equal(got, wanted)


def test_nothing_on_standard_streams(tmp_path: Path) -> None:
    giant = tmp_path / "giant.tif"
    Image.new("1", (10_000, 9_000)).save(giant, compression="group4")
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(encoded(Image.fromarray(noise(64, 64)), "JPEG")[:2000])
    code = (
        "import sys\n"
        "from capgen.errors import ImageError\n"
        "from capgen.images.load import load_image\n"
        "load_image(sys.argv[1])\n"
        "try: load_image(sys.argv[2])\n"
        "except ImageError as error: sys.exit(0 if error.code == 'truncated' else 3)\n"
        "sys.exit(4)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, giant, cut], capture_output=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
