"""What an output may replace."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from capgen.errors import ProtectedFileError, StorageError, UsageError
from capgen.overwriting import (
    NO_IMAGE,
    OWN_IMAGE,
    OWN_JOURNAL,
    OWN_JSON,
    TEXT_OR_DATA,
    WEB_PAGE,
    Content,
    InputFiles,
    Output,
    check_output,
    check_outputs,
    real_place,
)
from tests.fakes import draw_image

JPEG = b"\xff\xd8\xff\xe0 an image"
LINE = b'{"schema_version": 1, "path": "a.jpg"}\n'


@pytest.mark.parametrize(
    ("replaces", "content", "allowed"),
    [
        (NO_IMAGE, JPEG, False),
        (NO_IMAGE, b"II*\0 a raw file", False),
        (NO_IMAGE, b"PK\3\4", True),
        (TEXT_OR_DATA, JPEG, False),
        (TEXT_OR_DATA, b"PK\3\4", False),
        (TEXT_OR_DATA, b"SQLite format 3\0", False),
        (TEXT_OR_DATA, b"path,caption\n", True),
        (TEXT_OR_DATA, b"\xe9\xe8\xe9\xe8\xe9\xe8\xe9\xe8\n", True),
        (TEXT_OR_DATA, b"PAR1", True),
        (WEB_PAGE, b"<!DOCTYPE html>\n<html>", True),
        (WEB_PAGE, b"image,caption\n", False),
        (WEB_PAGE, JPEG, False),
        (OWN_JSON, b'{\n  "schema_version": 1,', True),
        (OWN_JSON, b'[\n{"schema_version": 1,', True),
        (OWN_JSON, b'{"images": [], "annotations": []}', False),
        (OWN_JSON, b'the word "schema_version"', False),
        (OWN_JOURNAL, LINE, True),
        (OWN_JOURNAL, b'{"sche', True),  # cut off by a crash
        (OWN_JOURNAL, b"\0\0\0\n" + LINE, True),  # a crash, too
        (OWN_JOURNAL, b'{"image": "a.jpg"}\n', False),
        (OWN_JOURNAL, b"path\na.jpg\n", False),
        (OWN_JOURNAL, JPEG, False),
        (OWN_IMAGE, JPEG, False),
    ],
)
def test_contents(tmp_path: Path, replaces: Content, content: bytes, allowed: bool) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)
    if allowed:
        check_output(path, replaces)
    else:
        with pytest.raises(ProtectedFileError, match=r"x is .*: nothing is written to it"):
            check_output(path, replaces)
    assert path.read_bytes() == content


def test_nothing_can_be_lost_where_nothing_is(tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    for name in ("empty", "missing", "no/folder", "n" * 300, "a\0b"):
        check_output(tmp_path / name, OWN_IMAGE, inputs=InputFiles([tmp_path / "other"]))
    check_output(tmp_path, OWN_IMAGE)  # writing says what is wrong with a folder


def test_it_is_a_usage_error_that_names_option_and_file(tmp_path: Path) -> None:
    (tmp_path / "x.jpg").write_bytes(JPEG)
    with pytest.raises(UsageError, match=r"^-o .*/x\.jpg is a JPEG image") as caught:
        check_output(tmp_path / "x.jpg", TEXT_OR_DATA, option="-o")
    assert (caught.value.exit_code, "another name" in caught.value.hint) == (2, True)


def test_inputs_by_whatever_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sub").mkdir()
    image = tmp_path / "photo"
    image.write_text("not even an image")
    (tmp_path / "link").symlink_to(image)
    (tmp_path / "hard").hardlink_to(image)
    (tmp_path / "other").write_text("x")
    monkeypatch.chdir(tmp_path)
    inputs = InputFiles(["missing", "a\0b", "/dev/null", "photo"])
    for name in ("photo", "./photo", "sub/../photo", "link", "hard", str(image)):
        with pytest.raises(ProtectedFileError, match=r"is an input"):
            check_output(Path(name), TEXT_OR_DATA, inputs=inputs)
    for name in ("other", "missing", "/dev/null", "sub"):
        check_output(Path(name), TEXT_OR_DATA, inputs=inputs)
    with (tmp_path / "other").open() as stdin, pytest.raises(ProtectedFileError, match="stdin"):
        check_output(Path("other"), TEXT_OR_DATA, inputs=InputFiles([stdin.fileno()]))


def test_an_input_that_was_replaced_gives_its_place_on_the_disk_away(tmp_path: Path) -> None:
    photo, sidecar = tmp_path / "a.jpg", tmp_path / "a.xmp"
    photo.write_text("old")
    inputs = InputFiles([photo])
    assert inputs.find(photo) == str(photo)
    photo.rename(sidecar)  # as if a new file had got the old one's number
    photo.write_text("new")
    assert inputs.find(sidecar) is None
    # Under its other names it is an input still.
    inputs = InputFiles([sidecar, photo])
    (tmp_path / "link").hardlink_to(photo)
    assert inputs.find(tmp_path / "link") == str(photo)


def test_inputs_are_looked_up_only_if_need_be(tmp_path: Path) -> None:
    def files():
        raise AssertionError("nothing is there that could be an input")
        yield

    check_output(tmp_path / "new", TEXT_OR_DATA, inputs=InputFiles(files()))


def test_two_outputs_are_not_one_file(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    first = Output("-o", tmp_path / "x.jsonl", TEXT_OR_DATA)
    check_outputs([first, Output("--undo-file", tmp_path / "y.jsonl", OWN_JOURNAL)], InputFiles())
    with pytest.raises(ProtectedFileError, match="-o and --undo-file both write"):
        again = Output("--undo-file", tmp_path / "link" / "x.jsonl", OWN_JOURNAL)
        check_outputs([first, again], InputFiles())


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="POSIX only")
def test_what_may_not_be_read_is_not_replaced(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "x").write_bytes(JPEG)

    def refuse(*_args, **_options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # the superuser may read anything
    with pytest.raises(StorageError, match="Not allowed to read"):
        check_output(tmp_path / "x", NO_IMAGE)


@pytest.mark.parametrize("jpeg", [False, True])
def test_drawings_replace_drawings_only(tmp_path: Path, jpeg: bool) -> None:
    from capgen.output.drawings import write_drawing

    path = tmp_path / ("x.jpg" if jpeg else "x.png")
    write_drawing(path, draw_image(1), jpeg=jpeg)
    first = path.read_bytes()
    write_drawing(path, draw_image(2), jpeg=jpeg)
    assert path.read_bytes() != first
    draw_image(3).save(path)
    image = path.read_bytes()
    with pytest.raises(ProtectedFileError, match="image"):
        write_drawing(path, draw_image(1), jpeg=jpeg)
    assert path.read_bytes() == image
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_places_that_are_no_names() -> None:
    assert real_place(Path("a\0b")) == "a\0b"
