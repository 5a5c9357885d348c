"""Lists of texts in one cell: JSON's, and what pandas writes for lists and arrays.

`DataFrame.to_csv` writes a list as Python shows it (`['a', "b's"]`), and an array of numpy
without commas (`['a' 'b']`).
"""

from __future__ import annotations

import ast
import json
import re

_TEXT = r"""'(?:[^'\\]|\\.)*+'|"(?:[^"\\]|\\.)*+\""""
_ITEM = re.compile(rf"({_TEXT})|None|nan|NaN|null", re.DOTALL)
_GAP = re.compile(r"\s*+,?\s*+")
_MAY_BE_LIST = re.compile(r"""\[\s*(?:['"]|None\b|nan\b).*\]""", re.DOTALL)
_IS_LIST = re.compile(r"""['"]\s*,?\s*\]""")


def texts_in(cell: str) -> list[str] | str | None:
    """Return the texts of a list in a cell, missing ones left out.

    Args:
        cell: The cell; a caption may begin with a bracket, and is returned as it is.

    Returns:
        The texts, or the cell, or None if it looks like a list of texts and cannot be read.
    """
    text = cell.strip()
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        if _MAY_BE_LIST.fullmatch(text) is None:
            return cell
        found = _shown_by_python(text)
        return cell if found is None and _IS_LIST.search(text[-20:]) is None else found
    if not isinstance(value, list):
        return cell
    texts = [item for item in value if isinstance(item, str)]
    return texts if all(item is None or isinstance(item, str) for item in value) else cell


def _shown_by_python(text: str) -> list[str] | None:
    texts: list[str] = []
    place = _GAP.match(text, 1).end()  # type: ignore[union-attr]
    while place < len(text) - 1:
        item = _ITEM.match(text, place)
        if item is None:
            return None
        if item[1]:
            try:
                texts.append(ast.literal_eval(item[1]))
            except (ValueError, SyntaxError):
                return None
        place = _GAP.match(text, item.end()).end()  # type: ignore[union-attr]
    return texts
