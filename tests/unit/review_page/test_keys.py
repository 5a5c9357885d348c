"""The keys of the page and the table of them in the docs."""

from __future__ import annotations

import re
from pathlib import Path

from capgen import review_page
from tests.pages import ROOT

SCRIPT = Path(review_page.__file__).parent / "static" / "keys.js"
_ROW = re.compile(r'\[(\[[^\]]*\]|"123456789"\.split\(""\)), "(\w+)", "([^"]+)"\]')
_SIGNS = {"ArrowDown": "↓", "ArrowRight": "→", "ArrowUp": "↑", "ArrowLeft": "←"}


def test_the_docs_have_every_key() -> None:
    rows = _ROW.findall(SCRIPT.read_text(encoding="utf-8"))
    assert len(rows) > 20
    page = (ROOT / "docs" / "reviewing.md").read_text(encoding="utf-8")
    for keys, _, what in rows:
        named = re.findall(r'"([^"]+)"', keys) if keys.startswith("[") else ["1 – 9"]
        cell = " ".join(f"`{_SIGNS.get(key, key)}`" for key in named)
        assert f"| {cell} | {what} |" in page


def test_no_key_has_two_commands() -> None:
    rows = _ROW.findall(SCRIPT.read_text(encoding="utf-8"))
    keys = [key for row in rows for key in re.findall(r'"([^"]+)"', row[0])]
    assert len(set(keys)) == len(keys)
