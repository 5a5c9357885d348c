"""The meaning of a table's columns. See `capgen.tables` for the rules."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from capgen.errors import DataError, did_you_mean
from capgen.file_types import has_image_suffix
from capgen.tables.lists import texts_in
from capgen.tables.rows import Row

_STEMS = ("file", "image", "img", "picture", "photo")
_ENDS = ("_name", "name", "_path", "path", "_file", "")
# In order of preference.
_COMBINED = [stem + end for stem in _STEMS for end in _ENDS]
IMAGE_NAMES = tuple(
    dict.fromkeys(("path", "image", "file", *_COMBINED, "url", "image_url", "img_url"))
)
CAPTION_NAMES = (
    *("caption", "captions", "text", "texts", "raw", "sentence", "sentences", "comment"),
    *("description", "reference", "references", "prompt", "title", "label"),
    # Of reports on X-rays.
    *("findings", "report", "impression"),
)
SPLIT_NAMES = ("split", "subset", "partition", "set", "fold")


@dataclass(frozen=True, kw_only=True)
class Columns:
    """The columns of images, captions and (if any) splits."""

    image: str
    captions: tuple[str, ...]
    split: str | None

    def texts(self, row: Row) -> list[str] | None:
        """Return a row's captions (a cell may hold a list), or None if they are not text."""
        texts: list[str] = []
        for column in self.captions:
            cell = row.cells.get(column)
            if isinstance(cell, str) and cell.lstrip().startswith("["):
                cell = texts_in(cell)
                if cell is None:
                    return None
            if isinstance(cell, str):
                texts.append(cell)
            elif isinstance(cell, list) and all(isinstance(text, str) for text in cell):
                texts += cell
            elif cell is not None or len(self.captions) == 1:
                return None
        return texts


def image_column(names: Sequence[str], first: Mapping[str, Any]) -> str | None:
    """Return the column of images by its name, and by the cells of the first row; or None."""
    known = known_columns(names, IMAGE_NAMES)
    return min(known, key=lambda name: _unlikely(first.get(name)), default=None)


def named_column(place: str, names: Sequence[str], given: str | None) -> str:
    """Return the column that the user named.

    Raises:
        DataError: There is no such column, or none was named.
    """
    if given is None:
        raise DataError(
            f"{place} has no column of images",
            hint=f"Name it with --path-column: {', '.join(names)}" if names else "It is empty.",
        )
    for name in (given, given.strip()):
        if name in names:
            return name
    raise DataError(f"{place} has no column '{given}'", hint=did_you_mean(given, names))


def _unlikely(cell: object) -> int:
    """Return how little a cell looks like an image: 0 for a mapping, which holds one."""
    if isinstance(cell, Mapping):
        return 0
    return 1 if isinstance(cell, str) and has_image_suffix(cell.strip()) else 2


def caption_columns(names: Sequence[str]) -> tuple[str, ...]:
    """Return the caption column and its numbered series (`caption`, `caption_2`, …)."""
    series = (
        [name for name in names if re.fullmatch(rf"{known}([ _-]?\d+)?", name, re.IGNORECASE)]
        for known in CAPTION_NAMES
    )
    return tuple(next(filter(None, series), ()))


def split_column(names: Sequence[str]) -> str | None:
    """Return the column of splits, or None."""
    return next(iter(known_columns(names, SPLIT_NAMES)), None)


def known_columns(names: Sequence[str], known: Sequence[str]) -> list[str]:
    """Return the columns that have known names, in any letter case, in the order of `known`."""
    lowered = {name.lower(): name for name in reversed(names)}
    return [lowered[name] for name in known if name in lowered]
