"""Finding images: suffixes, order, hidden files, links."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from capgen.errors import ImageError
from capgen.images.folders import find_images


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def names(folder: Path, recursive: bool = False) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in find_images(folder, recursive)]


def test_suffixes_and_natural_order(tmp_path: Path) -> None:
    touch(tmp_path, "img10.jpg", "img2.JPG", "Img1.png", "notes.txt", "a.heic", "b.tiff", "jpg")
    assert names(tmp_path) == ["a.heic", "b.tiff", "Img1.png", "img2.JPG", "img10.jpg"]


def test_order_mixes_digits_and_text(tmp_path: Path) -> None:
    touch(tmp_path, "1.jpg", "a.jpg", "01.jpg", "1a2.jpg", "²3.jpg", "٣.jpg", "10.jpg")
    assert names(tmp_path) == ["01.jpg", "1.jpg", "1a2.jpg", "٣.jpg", "10.jpg", "a.jpg", "²3.jpg"]


def test_hidden_are_skipped(tmp_path: Path) -> None:
    touch(tmp_path, ".a.jpg", "._b.jpg", ".cache/c.jpg", "d.jpg")
    assert names(tmp_path, recursive=True) == ["d.jpg"]
    hidden = tmp_path / ".album"
    touch(hidden, "e.jpg")
    assert names(hidden) == ["e.jpg"]  # asked for by name


def test_recursive(tmp_path: Path) -> None:
    touch(tmp_path, "b.jpg", "album10/x.jpg", "album2/y.jpg", "album2/deep/z.jpg")
    assert names(tmp_path) == ["b.jpg"]
    expected = ["album2/deep/z.jpg", "album2/y.jpg", "album10/x.jpg", "b.jpg"]
    assert names(tmp_path, recursive=True) == expected


def test_links(tmp_path: Path) -> None:
    touch(tmp_path, "real/a.jpg")
    (tmp_path / "real" / "up").symlink_to(tmp_path)
    (tmp_path / "again").symlink_to(tmp_path / "real")
    (tmp_path / "loop.jpg").symlink_to(tmp_path / "loop.jpg")
    (tmp_path / "broken.jpg").symlink_to(tmp_path / "gone.jpg")
    (tmp_path / "one.jpg").symlink_to(tmp_path / "real" / "a.jpg")
    assert names(tmp_path, recursive=True) == ["one.jpg", "real/a.jpg"]
    assert names(tmp_path / "again") == ["a.jpg"]


def test_folders_and_pipes_named_like_images(tmp_path: Path) -> None:
    (tmp_path / "folder.jpg").mkdir()
    os.mkfifo(tmp_path / "pipe.jpg")
    touch(tmp_path, "a.jpg")
    assert names(tmp_path) == ["a.jpg"]


def test_faults(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg")
    for path, code in ((tmp_path / "no", "missing"), (tmp_path / "a.jpg", "unreadable")):
        with pytest.raises(ImageError) as caught:
            find_images(path)
        assert caught.value.code == code
        assert str(path) in caught.value.message
    assert find_images(tmp_path) == [tmp_path / "a.jpg"]
