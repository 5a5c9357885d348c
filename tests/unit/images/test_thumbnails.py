"""Small copies: bounded, in the format asked for, and without what a camera wrote."""

from __future__ import annotations

from io import BytesIO

import pytest
from PIL import Image

from capgen.images.thumbnails import publishable, shrunk, small_copy, thumbnail


def image(width: int, height: int, mode: str = "RGB") -> Image.Image:
    made = Image.new(mode, (width, height))
    made.info = {"exif": b"Exif\0\0where it was", "comment": b"secret", "icc_profile": b"x"}
    return made


@pytest.mark.parametrize("side", [10, 100])
def test_the_longer_side_is_bounded_and_never_enlarged(side: int) -> None:
    assert shrunk(image(40, 20), side).size == (min(side, 40), min(side, 40) // 2)
    assert shrunk(image(20, 40, "RGBA"), side).mode == "RGB"


def test_the_image_stays_as_it_was() -> None:
    made = image(40, 20)
    shrunk(made, 10)
    assert made.size == (40, 20) and "comment" in made.info


@pytest.mark.parametrize("file_format", ["JPEG", "WEBP"])
def test_files_hold_nothing_but_pixels(file_format) -> None:
    data = small_copy(image(40, 20), 10, file_format=file_format)
    opened = Image.open(BytesIO(data))
    assert (opened.format, opened.size) == (file_format, (10, 5))
    assert b"secret" not in data and b"where" not in data
    assert not {"exif", "comment", "icc_profile"} & opened.info.keys()


def test_thumbnails_and_what_is_published() -> None:
    opened = [Image.open(BytesIO(make(image(2000, 1000)))) for make in (thumbnail, publishable)]
    assert [(one.format, one.size) for one in opened] == [
        ("WEBP", (256, 128)),
        ("JPEG", (512, 256)),
    ]
