"""Camera raw files that are TIFFs are all refused alike."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from capgen.errors import ImageError
from capgen.images.load import load_image


def tiff(image: Image.Image | None = None, **tags: object) -> bytes:
    data = io.BytesIO()
    shown = image or Image.new("RGB", (16, 12), "red")
    shown.save(data, "TIFF", tiffinfo={int(tag[1:]): value for tag, value in tags.items()})
    return data.getvalue()


def canon() -> bytes:
    plain = tiff()
    start = int.from_bytes(plain[4:8], "little")
    # CR2 has its mark between the header and the first directory, at byte 8.
    directory = plain[start:]
    return plain[:4] + (len(plain) + 16).to_bytes(4, "little") + b"CR\2\0" + plain[12:] + directory


RAW = {
    "DNG": lambda: tiff(_50706=b"\1\4\0\0"),
    "sensor values first": lambda: tiff(Image.new("I;16", (8, 8)), _262=32803),
    "thumbnail first": lambda: tiff(_254=1, _330=8),
    "CR2": canon,
}


@pytest.mark.parametrize("kind", RAW)
def test_raw_files_are_all_refused_with_a_reason(kind: str) -> None:
    with pytest.raises(ImageError, match="camera raw file") as caught:
        load_image(RAW[kind]())
    assert caught.value.code == "unsupported"
    assert caught.value.hint


@pytest.mark.parametrize("tags", [{}, {"_254": 0}, {"_254": 1}, {"_254": 2}])
def test_ordinary_tiffs_are_not(tags: dict[str, object]) -> None:
    assert load_image(tiff(**tags)).image.size == (16, 12)


def test_broken_directories_are_not(tmp_path: Path) -> None:
    with pytest.raises(ImageError) as caught:
        load_image(b"II*\0\xff\xff\xff\xff")
    assert "raw" not in caught.value.message
