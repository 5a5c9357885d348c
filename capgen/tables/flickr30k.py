"""Two faults of Flickr30k's table on Kaggle, `results.csv`, whose meaning is clear.

Its columns are `image_name| comment_number| comment`. One row lacks the second bar, and a bar in a
comment is no separator.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_NAMES = ("image_name", "comment_number", "comment")
_NUMBERED = re.compile(r"\s*(\d)\s+(\S.*)", re.DOTALL)


def mend(cells: list[str], names: Sequence[str]) -> tuple[list[str], str]:
    """Return the cells of a row, and what was put right in them (empty if nothing was)."""
    if tuple(names) != _NAMES or len(cells) == len(names):
        return cells, ""
    if len(cells) > len(names):
        return [*cells[:2], "|".join(cells[2:])], "a bar in the comment was read as text"
    found = _NUMBERED.fullmatch(cells[1]) if len(cells) == 2 else None
    if found is None:
        return cells, ""
    return [cells[0], found[1], found[2]], "the bar between number and comment is missing"
