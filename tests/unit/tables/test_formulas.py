"""Cells that begin like formulas."""

from __future__ import annotations

import pytest

from capgen.tables.formulas import from_spreadsheet, spreadsheet_text


@pytest.mark.parametrize(
    ("text", "cell"), [("=A1", "'=A1"), ("a=b", "a=b"), ("", ""), ("-x", "'-x"), ("'a", "'a")]
)
def test_only_formulas_get_an_apostrophe_and_lose_it_again(text: str, cell: str) -> None:
    assert spreadsheet_text(text) == cell
    assert from_spreadsheet(cell) == text
