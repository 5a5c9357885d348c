"""Only alternative texts change, and undo restores every byte."""

from __future__ import annotations

from pathlib import Path

import pytest

from capgen.alt_text.pages import read_page
from capgen.alt_text.places import Edit
from capgen.alt_text.write_texts import write_texts
from capgen.undo import undo
from capgen.undo_file import UndoFile

PAGE = "\ufeff# T\r\n![](a.jpg) x ![b](b.jpg)\r\n<img src='c.jpg'>\r\n\r\n`![](d.jpg)`"


def page_at(tmp_path: Path) -> Path:
    path = tmp_path / "x.md"
    path.write_bytes(PAGE.encode())
    return path


def test_written_and_undone(tmp_path: Path) -> None:
    path = page_at(tmp_path)
    path.chmod(0o640)
    undo_file = UndoFile(tmp_path / "undo.jsonl")
    written = write_texts(read_page(path), {0: "a  dog\n", 2: 'a "cat"'}, undo_file)
    assert written.written == (0, 2)
    expected = PAGE.replace("![](a", "![a dog](a").replace(
        "'c.jpg'>", "'c.jpg' alt=\"a &quot;cat&quot;\">"
    )
    assert path.read_bytes() == expected.encode() == written.text.encode()
    assert path.stat().st_mode & 0o777 == 0o640
    assert [each.problem for each in undo(tmp_path / "undo.jsonl")] == [""]
    assert path.read_bytes() == PAGE.encode()


def test_nothing_is_written_without_an_undo_file(tmp_path: Path) -> None:
    path = page_at(tmp_path)
    written = write_texts(read_page(path), {0: "a dog"}, None)
    assert (written.written, path.read_bytes()) == ((0,), PAGE.encode())
    assert "![a dog](a.jpg)" in written.text


def test_a_page_that_changed_meanwhile_stays(tmp_path: Path) -> None:
    path = page_at(tmp_path)
    page = read_page(path)
    path.write_bytes(b"other")
    written = write_texts(page, {0: "a dog"}, UndoFile(tmp_path / "undo.jsonl"))
    assert (written.written, path.read_bytes()) == ((), b"other")
    assert written.problems == {0: f"{path} was changed meanwhile"}
    assert not (tmp_path / "undo.jsonl").exists()


def test_an_edit_that_would_change_more_is_left_out(tmp_path: Path) -> None:
    page = read_page(page_at(tmp_path))
    wrong = Edit(0, len(page.text), "markdown")
    places = list(page.places)
    object.__setattr__(places[0], "edit", wrong)
    written = write_texts(page, {0: "all gone", 2: "a cat"}, UndoFile(tmp_path / "undo.jsonl"))
    assert written.written == (2,)
    assert written.problems == {0: "with this text the page would change in other places, too"}


def test_what_cannot_be_changed_is_a_problem(tmp_path: Path) -> None:
    path = tmp_path / "x.md"
    path.write_text("![r]\n\n[r]: a.jpg")
    written = write_texts(read_page(path), {0: "a dog"}, None)
    assert written.problems == {0: "its alternative text cannot be changed there"}


@pytest.mark.parametrize("begin", ["<svg></svg>", 'a page about "sha256_after" and undo files '])
def test_a_page_may_begin_like_another_file(tmp_path: Path, begin: str) -> None:
    path = tmp_path / "x.html"
    path.write_text(f"{begin}<img src=a.jpg>")
    written = write_texts(read_page(path), {0: "a dog"}, UndoFile(tmp_path / "undo.jsonl"))
    assert written.written == (0,)
    assert path.read_text() == f'{begin}<img src=a.jpg alt="a dog">'


@pytest.mark.parametrize("name", ["x.md", "x.html"])
@pytest.mark.parametrize(
    "text", ["{{ page }} {% x %} {# c #}", "``a", "~~a~~ <b> &copy; | {x}", "{%", "}} %} #}"]
)
def test_texts_that_mean_something_to_templates_are_written(
    tmp_path: Path, name: str, text: str
) -> None:
    path = tmp_path / name
    image = "![](a.jpg)" if name == "x.md" else "<img src=a.jpg>"
    path.write_text(f"{image} ``\n\n{{# c")
    written = write_texts(read_page(path), {0: text}, UndoFile(tmp_path / "undo.jsonl"))
    assert (written.written, written.problems) == ((0,), {})
    new = path.read_text().replace("{# c", "")
    assert name == "x.html" or not any(each in new for each in ("~~", "``a"))
    assert not any(each in new for each in ("{{", "}}", "{%", "%}", "{#", "#}"))


@pytest.mark.parametrize("image", ["![](a.jpg)", "<img src=a.jpg>"])
@pytest.mark.parametrize("page", ["{}\n---\n", "|a|b|\n|-|-|\n|{}|c|\n"])
def test_a_text_makes_no_cell_of_a_table(tmp_path: Path, page: str, image: str) -> None:
    path = tmp_path / "x.md"
    path.write_text(page.format(image))
    written = write_texts(read_page(path), {0: "a | b"}, UndoFile(tmp_path / "undo.jsonl"))
    assert written.written == (0,)
    assert path.read_text().count("|") == page.count("|")
