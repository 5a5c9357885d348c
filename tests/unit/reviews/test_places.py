"""Where the images of records are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from capgen.reviews.places import ImagePlaces


@pytest.fixture
def places(tmp_path: Path) -> ImagePlaces:
    for name in ("here/photos/a.jpg", "records/photos/a.jpg", "records/photos/b.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return ImagePlaces([tmp_path / "here", tmp_path / "records"])


def test_the_first_folder_comes_first(places: ImagePlaces, tmp_path: Path) -> None:
    assert places.find("photos/a.jpg") == tmp_path / "here/photos/a.jpg"
    assert places.find("photos/b.jpg") == tmp_path / "records/photos/b.jpg"
    assert places.find(str(tmp_path / "records/photos/b.jpg")) is not None


def test_all_files_that_a_name_may_mean(places: ImagePlaces, tmp_path: Path) -> None:
    both = [tmp_path / folder / "photos/a.jpg" for folder in ("here", "records")]
    for name in ("photos/a.jpg", " photos/a.jpg\t", "photos\\a.jpg"):
        assert list(places.files(name)) == both
    assert list(places.files(str(both[0]))) == both[:1]


@pytest.mark.parametrize(
    "path", [None, "", "photos", "photos/c.jpg", "http://localhost/a.jpg", "a\0.jpg", "x" * 5000]
)
def test_what_is_no_file_is_missing(places: ImagePlaces, path: str | None) -> None:
    assert places.find(path) is None
    assert places.missing([path]) == [True]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_is_no_image(places: ImagePlaces, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "here/pipe.jpg")
    assert places.missing(["pipe.jpg"]) == [True]


def test_each_folder_is_listed_once(places: ImagePlaces, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(Path, "is_file", lambda path: asked.append(str(path)))
    present = places.missing(["photos/a.jpg", "photos/b.jpg"] * 50)
    assert present == [False] * 100
    assert asked == []
