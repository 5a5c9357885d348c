"""Headers and numbers of frames, read without decoding."""

from __future__ import annotations

import struct
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image, features

from capgen.errors import ImageError
from capgen.images import frames
from capgen.images.frames import MOST_FRAMES, ImageHeader, count_frames, read_header
from tests.broken_images import encoded, tiff

ANIMATED = ["GIF", "PNG", "TIFF", "WEBP", *(["AVIF"] if features.check("avif") else [])]


def animated(file_format: str, number: int, **options: object) -> bytes:
    images = [Image.new("RGB", (24, 16), (40 * n, 9, 99)) for n in range(number)]
    buffer = BytesIO()
    images[0].save(buffer, file_format, save_all=True, append_images=images[1:], **options)
    return buffer.getvalue()


@pytest.mark.parametrize("file_format", ANIMATED)
def test_number_of_frames(file_format: str) -> None:
    assert count_frames(encoded(file_format), "a") == 1
    assert count_frames(animated(file_format, 5), "a") == 5


def test_frames_of_a_gif_with_its_own_palettes_and_comments() -> None:
    images = [Image.radial_gradient("L").rotate(n).convert("P") for n in range(3)]
    for number, image in enumerate(images):
        image.putpalette([(number * n) % 256 for n in range(768)])
    buffer = BytesIO()
    images[0].save(buffer, "GIF", save_all=True, append_images=images[1:], comment=b"a" * 700)
    assert count_frames(buffer.getvalue(), "a") == 3


def test_counting_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    gif = encoded("GIF")
    assert count_frames(gif[:13] + b",12345678\0\2\0" * 5000, "a") == MOST_FRAMES
    pages = b"".join(struct.pack("<HL", 0, 14 + 6 * n) for n in range(5000))
    assert count_frames(b"II*\0" + struct.pack("<L", 8) + pages, "a") == MOST_FRAMES
    monkeypatch.setattr(frames, "MOST_FRAMES", 4)
    assert [count_frames(animated(name, 5), "a") for name in ANIMATED] == [4] * len(ANIMATED)


def test_pages_in_a_circle() -> None:
    page = struct.pack("<HL", 0, 8)
    assert count_frames(b"II*\0" + struct.pack("<L", 8) + page, "a") == 1


@pytest.mark.parametrize("file_format", ["GIF", "PNG", "TIFF"])
def test_counting_never_fails_in_cut_files(file_format: str) -> None:
    data = animated(file_format, 3)
    counts = [count_frames(data[:end], "a") for end in range(8, len(data))]
    assert set(counts) <= {1, 2, 3}


@pytest.mark.parametrize("file_format", [*ANIMATED, "JPEG", "BMP"])
def test_header(file_format: str, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(encoded(file_format))
    assert read_header(path) == ImageHeader(file_format, 24, 16)


def test_header_behind_long_metadata_and_before_what_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "a"
    jpeg = encoded("JPEG")
    comment = b"\xff\xfe\xff\xff" + bytes(65533)
    path.write_bytes(jpeg[:2] + comment * 6 + jpeg[2:])
    assert read_header(path) == ImageHeader("JPEG", 24, 16)
    path.write_bytes(jpeg[:-5])
    assert read_header(path) == ImageHeader("JPEG", 24, 16)


@pytest.mark.filterwarnings("ignore")
def test_header_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with pytest.raises(ImageError, match="no such file"):
        read_header(path)
    for data in (b"", b"text", tiff({256: (16, 2**63)}), encoded("JPEG")[:40]):
        path.write_bytes(data)
        with pytest.raises(ImageError):
            read_header(path)
