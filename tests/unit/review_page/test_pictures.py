"""Images as the page shows them, and the cache of thumbnails."""

from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from capgen.cache_folders import THUMBNAILS
from capgen.config import ImageLimits
from capgen.errors import ImageError
from capgen.review_page.pictures import Pictures, State
from tests.fakes import draw_image


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # turned right
    exif[0x010F] = "a camera"
    draw_image(1, (800, 600)).save(path, exif=exif)
    return path


def opened(data: bytes) -> Image.Image:
    return Image.open(BytesIO(data))


def test_copies_are_small_upright_and_without_metadata(photo: Path) -> None:
    pictures = Pictures(ImageLimits())
    small, large = pictures.thumbnail(State.of(photo)), pictures.large(photo, 640)
    assert (opened(small).format, opened(small).size) == ("WEBP", (180, 240))
    assert (opened(large).format, opened(large).size) == ("JPEG", (480, 640))
    for data in (small, large):
        assert not opened(data).getexif()


def test_a_small_image_is_not_enlarged(tmp_path: Path) -> None:
    draw_image(1, (50, 40)).save(tmp_path / "small.png")
    assert opened(Pictures(ImageLimits()).large(tmp_path / "small.png", 640)).size == (50, 40)


def test_thumbnails_are_cached_until_the_file_changes(photo: Path) -> None:
    pictures = Pictures(ImageLimits())
    before = State.of(photo)
    made = pictures.thumbnail(before)
    (kept,) = THUMBNAILS.path.iterdir()
    assert kept.read_bytes() == made
    kept.write_bytes(b"from the cache")
    assert pictures.thumbnail(State.of(photo)) == b"from the cache"
    draw_image(2, (800, 600)).save(photo)
    os.utime(photo, ns=(before.changed + 10**9,) * 2)
    after = State.of(photo)
    assert after.tag(240) != before.tag(240)
    assert opened(pictures.thumbnail(after)).size == (240, 180)


def test_the_cache_is_limited(tmp_path: Path) -> None:
    states = []
    for number in range(12):
        draw_image(number, (300, 200)).save(tmp_path / f"{number}.png")
        states.append(State.of(tmp_path / f"{number}.png"))
    size = len(Pictures(ImageLimits()).thumbnail(states[0]))
    limit = 5 * size
    pictures = Pictures(ImageLimits(), cache_limit=limit)
    for state in states:
        pictures.thumbnail(state)
        kept = sum(file.stat().st_size for file in THUMBNAILS.path.iterdir())
        assert kept <= limit
    assert kept > 0


def test_without_a_place_for_the_cache_thumbnails_are_made_all_the_same(
    photo: Path, home: Path
) -> None:
    home.mkdir(parents=True)
    (home / "cache").write_text("a file where the folder would be")
    assert opened(Pictures(ImageLimits()).thumbnail(State.of(photo))).format == "WEBP"


def test_an_image_that_is_too_large_or_broken_is_an_error(photo: Path, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="pixels"):
        Pictures(ImageLimits(max_pixels=1000)).thumbnail(State.of(photo))
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff\xe0nothing")
    with pytest.raises(ImageError):
        Pictures(ImageLimits()).large(broken, 640)


def test_clearing_caches_removes_thumbnails(photo: Path) -> None:
    from capgen.cache_folders import clear

    Pictures(ImageLimits()).thumbnail(State.of(photo))
    assert clear() > 0
    assert not THUMBNAILS.path.exists()
