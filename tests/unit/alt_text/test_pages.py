"""Which files are pages."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from capgen.alt_text.image_files import ImageFiles
from capgen.alt_text.markdown_places import markdown_places
from capgen.alt_text.pages import find_pages, read_page
from capgen.errors import DataError


@pytest.mark.skipif(sys.platform == "win32", reason="no pipes with names, no links without rights")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.md")
    with pytest.raises(DataError, match="not a regular file"):
        read_page(tmp_path / "x.md")


@pytest.mark.skipif(sys.platform == "win32", reason="no links without rights")
def test_a_page_and_a_link_to_it_are_one(tmp_path: Path) -> None:
    (tmp_path / "b.md").write_text("![](a.jpg)")
    (tmp_path / "a.md").symlink_to("b.md")
    (tmp_path / "loop").symlink_to(".")
    assert list(find_pages(tmp_path)) == [tmp_path / "a.md"]


@pytest.mark.parametrize("address", ["@site/static/a.jpg", "pathname:///a.jpg"])
def test_addresses_of_docusaurus_have_files(tmp_path: Path, address: str) -> None:
    image = tmp_path / "static" / "a.jpg"
    image.parent.mkdir()
    image.touch()
    docs = tmp_path / "docs"
    docs.mkdir()
    [place] = markdown_places(f"![]({address})")
    assert ImageFiles(docs).file(docs / "x.md", place) == image


@pytest.mark.parametrize(
    ("declared", "encoding"),
    [("", "cp1252"), ("iso-8859-1", "cp1252"), ("windows-1250", "cp1250"), ("nonsense", "cp1252")],
)
def test_addresses_in_pages_that_are_not_utf8(tmp_path: Path, declared: str, encoding: str) -> None:
    image = tmp_path / "Größe.jpg"
    image.touch()
    page = tmp_path / "a.html"
    meta = f'<meta charset="{declared}">' if declared else ""
    text = f'{meta}<h1>Über uns</h1><img src="Größe.jpg" alt="ärmlich"><img src="Größe.jpg">'
    page.write_bytes(text.encode(encoding))
    read = read_page(page)
    assert [place.address for place in read.places] == ["Größe.jpg"] * 2
    assert (read.places[0].text, read.places[1].heading) == ("ärmlich", "Über uns")
    assert ImageFiles(tmp_path).file(page, read.places[1]) == image


@pytest.mark.parametrize("below", ["content", "content/posts", "content/posts/2024/a.md"])
def test_static_folders_are_found_from_pages_below(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, below: str
) -> None:
    monkeypatch.chdir(tmp_path)
    page, image = Path("content/posts/2024/a.md"), Path("static/img/a.jpg")
    for file in (page, image):
        file.parent.mkdir(parents=True)
        file.touch()
    [place] = markdown_places("![](/img/a.jpg)")
    assert ImageFiles(Path(below)).file(page, place) == image
    # Not above the present folder: that is not this site any more.
    monkeypatch.chdir(tmp_path / "content" / "posts")
    assert ImageFiles(Path("2024/a.md")).file(Path("2024/a.md"), place) is None
