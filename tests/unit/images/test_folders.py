"""Finding images: suffixes, order, hidden files, links."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from capgen.errors import ImageError
from capgen.file_types import IMAGE_SUFFIXES
from capgen.images.folders import find_images, is_seen_member, passed_over, walk_files


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


def test_what_macos_adds_is_skipped(tmp_path: Path) -> None:
    touch(tmp_path, "__MACOSX/p/a.jpg", "p/a.jpg")
    assert names(tmp_path, recursive=True) == ["p/a.jpg"]
    members = ("p/a.jpg", "../a.jpg", "./a.jpg", "__MACOSX/a.jpg", "p/.b.jpg", ".c/a.jpg", "p/._a")
    assert [name for name in members if is_seen_member(name)] == ["p/a.jpg", "../a.jpg", "./a.jpg"]


COPIES = (
    *("@eaDir/a.jpg", "#recycle/a.jpg", "$RECYCLE.BIN/a.jpg", "@Recycle/a.jpg", ".@__thumb/a.jpg"),
    *("System Volume Information/a.jpg", "Previews.lrdata/a.jpg", "@__thumb/a.jpg"),
    *("My.photoslibrary/resources/derivatives/a.jpg", "My.photoslibrary/private/a.jpg"),
)


@pytest.mark.parametrize("copy", COPIES)
def test_thumbnails_of_drives_and_libraries_and_deleted_files_are_skipped(
    copy: str, tmp_path: Path
) -> None:
    touch(tmp_path, copy, "my/a.jpg", "My.photoslibrary/originals/0/b.jpg")
    assert names(tmp_path, recursive=True) == ["my/a.jpg", "My.photoslibrary/originals/0/b.jpg"]


def test_what_a_folder_has_besides_its_images_is_counted_by_kind(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "a.txt", "b.jxl", "c.svg", "d.SVG", "e.NEF", "f.cr2", "g.mov")
    touch(tmp_path, "sub/h.jxl", ".hidden/i.jxl", "@eaDir/j.jxl", "other/k.jpg")
    assert passed_over(tmp_path, recursive=False) == {
        ".jxl files": 1,
        ".svg files": 2,
        "camera raw files": 2,
        "videos or sounds": 1,
        "subfolders": 2,
    }
    assert passed_over(tmp_path, recursive=True)[".jxl files"] == 2
    assert "subfolders" not in passed_over(tmp_path, recursive=True)
    assert passed_over(tmp_path / "other", recursive=False) == {}


def test_all_files_in_the_order_of_their_names(tmp_path: Path) -> None:
    touch(tmp_path, "b.jpg", "c/10.txt", "c/2.jxl", ".hidden/x.jpg", "a.txt")
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere")
    found = [path.relative_to(tmp_path).as_posix() for path in walk_files(tmp_path)]
    assert found == ["a.txt", "b.jpg", "gone.jpg", "c/10.txt", "c/2.jxl"]
    assert list(walk_files(tmp_path / "no")) == []


def test_every_suffix(tmp_path: Path) -> None:
    touch(tmp_path, *(f"a{suffix}" for suffix in IMAGE_SUFFIXES))
    assert len(names(tmp_path)) == len(IMAGE_SUFFIXES)


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
    assert passed_over(tmp_path, recursive=True) == {"links to missing images": 2}


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


def test_images_that_their_names_do_not_show_are_counted(tmp_path: Path) -> None:
    touch(tmp_path, "empty", "a.txt")
    for name in ("photo", "photo.jpg!d", "photo.jpg_large", "caption.txt"):
        (tmp_path / name).write_bytes(b"\xff\xd8\xff\xe0")
    (tmp_path / "notes").write_text("a dog")
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    assert passed_over(tmp_path, recursive=False) == {"images whose names have no image suffix": 3}
