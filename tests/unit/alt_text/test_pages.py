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
