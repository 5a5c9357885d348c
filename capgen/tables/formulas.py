"""Text cells that no spreadsheet takes for a formula.

Source: OWASP, "CSV Injection".
"""

from __future__ import annotations

# With these, spreadsheets begin a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def spreadsheet_text(text: str) -> str:
    """Return a text cell that is no formula: with an apostrophe before it."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def from_spreadsheet(cell: str) -> str:
    """Return the text of a cell of `spreadsheet_text`, also after a spreadsheet saved it again."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(_FORMULA) else cell
