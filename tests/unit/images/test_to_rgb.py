"""Orientations, modes and depths become upright RGB, with exact pixels."""

from __future__ import annotations

import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image, features

from capgen.images.load import load_image
from tests.unit.images.samples import (
    BLACK,
    BLUE,
    GREEN,
    RED,
    WHITE,
    chunk,
    encoded,
    exif,
    fault,
    noise,
    pixels,
    smooth,
    with_chunk,
)

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
