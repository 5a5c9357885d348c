"""Rows that name an image and its caption as records: of capgen's own tables and of others'."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Self

from capgen.records import Caption, CaptionFailure, Record, Review, without_nulls
from capgen.tables.columns import Columns, caption_columns, image_column
from capgen.tables.formulas import from_spreadsheet
from capgen.tables.rows import Row

# What people write into a column of verdicts.
_VERDICTS = {
    **dict.fromkeys(("accepted", "accept", "ok", "yes", "y", "x", "1", "true"), "accepted"),
    **dict.fromkeys(("edited", "edit", "corrected"), "edited"),
    **dict.fromkeys(("rejected", "reject", "no", "n", "0", "false"), "rejected"),
}
# Errors of captions that only could not be written.
_UNWRITTEN = ("metadata", "sidecar")


class RowError(ValueError):
    """A row is not a record; the message says why."""


class RowReader:
    """Makes records of a table's rows.

    Args:
        columns: The columns of images and captions.
        names: The names of all columns.
    """

    def __init__(self, columns: Columns, names: Sequence[str]) -> None:
        self._columns = columns
        # In any letter case; of two columns with the same name the first counts.
        self._names = {name.strip().lower(): name for name in reversed(names)}

    @classmethod
    def of(cls, names: Sequence[str], first: Mapping[str, Any]) -> Self:
        """Return the reader for columns with these names, where `first` is a row.

        Raises:
            RowError: No column has images, or none captions.
        """
        image, captions = image_column(names, first), caption_columns(names)
        if image is None or not captions:
            what = "images" if image is None else "captions"
            raise RowError(f"no column of {what} among {', '.join(names) or 'none'}")
        return cls(Columns(image=image, captions=captions, split=None), names)

    def record(self, row: Mapping[str, Any]) -> Record:
        """Return the record of a row: of an image without a caption, a failure.

        Raises:
            RowError: It names no image, or a cell cannot be understood.
        """
        cells = {
            name: from_spreadsheet(cell) if isinstance(cell, str) else cell
            for name, cell in row.items()
        }
        path = cells.get(self._columns.image)
        if not isinstance(path, str) or not path.strip():
            raise RowError(f"no image in column '{self._columns.image}'")
        given = {column: cells.get(column) or "" for column in self._columns.captions}
        texts = self._columns.texts(Row(line=0, cells=given))
        if texts is None:
            raise RowError(f"the caption in column '{self._columns.captions[0]}' is not text")
        texts = [text for text in texts if text.strip()]
        origin = self._origin(cells)
        code = self._text(cells, "error_code")
        if not texts:
            message = self._text(cells, "error_message") or f"{path!r} has no caption"
            return CaptionFailure(path=path, code=code or "malformed", message=message, **origin)
        text, *others = texts
        return Caption(
            path=path,
            text=text,
            score=self._number(cells, "score"),
            log_probability=self._number(cells, "log_probability"),
            alternatives=(*map(_alternative, others), *self._alternatives(cells)),
            width=self._size(cells, "width"),
            height=self._size(cells, "height"),
            review=self._review(cells, text, failed=bool(code) and code not in _UNWRITTEN),
            **origin,
        )

    def _origin(self, cells: Mapping[str, Any]) -> dict[str, Any]:
        settings = self._json(cells, "settings")
        confidence = self._number(cells, "confidence")
        if confidence is not None and not 0 <= confidence <= 1:
            raise RowError(f"the confidence {confidence:g} is not between 0 and 1")
        return {
            "sha256": self._text(cells, "sha256").lower() or None,
            "model": self._text(cells, "model"),
            "revision": self._text(cells, "revision"),
            "settings": without_nulls(settings) if isinstance(settings, dict) else {},
            "confidence": confidence,
        }

    def _review(self, cells: Mapping[str, Any], text: str, *, failed: bool) -> Review | None:
        """Return what a person decided; one who wrote a caption for a failed image edited it."""
        given = self._text(cells, "verdict", "review").lower()
        proposed = self._text(cells, "proposed", "original") or None
        if not given:
            by_hand = failed or (proposed is not None and proposed != text)
            return Review(verdict="edited", proposed=proposed, caption=text) if by_hand else None
        verdict = _VERDICTS.get(given)
        if verdict is None:
            raise RowError(f"the verdict '{given}' is not accepted, edited or rejected")
        if verdict == "accepted" and proposed not in (None, text):
            verdict = "edited"
        if verdict != "edited" and proposed is None:
            proposed = text
        at, by = (self._text(cells, f"reviewed_{name}") for name in ("at", "by"))
        return Review(verdict=verdict, proposed=proposed, caption=text, by=by, at=at)

    def _cell(self, cells: Mapping[str, Any], *names: str) -> Any:
        found = (cells.get(self._names[name]) for name in names if name in self._names)
        return next((cell for cell in found if cell not in (None, "")), None)

    def _text(self, cells: Mapping[str, Any], *names: str) -> str:
        cell = self._cell(cells, *names)
        return "" if cell is None or isinstance(cell, dict | list) else str(cell).strip()

    def _number(self, cells: Mapping[str, Any], name: str) -> float | None:
        cell = self._text(cells, name)
        try:
            # Spreadsheets in many countries save a comma.
            number = float(cell.replace(",", ".")) if cell else None
        except ValueError:
            raise RowError(f"the {name} '{cell}' is not a number") from None
        return number if number is not None and math.isfinite(number) else None

    def _size(self, cells: Mapping[str, Any], name: str) -> int | None:
        number = self._number(cells, name)
        return None if number is None or number < 1 else int(number)

    def _json(self, cells: Mapping[str, Any], name: str) -> Any:
        cell = self._cell(cells, name)
        if not isinstance(cell, str):
            return cell
        try:
            return json.loads(cell)
        except (ValueError, RecursionError):
            return None

    def _alternatives(self, cells: Mapping[str, Any]) -> list[Caption]:
        items = self._json(cells, "alternatives")
        return [
            _alternative(item["caption"], item.get("score"))
            for item in (items if isinstance(items, list) else ())
            if isinstance(item, dict) and isinstance(item.get("caption"), str)
        ]


def _alternative(text: str, score: float | None = None) -> Caption:
    return Caption(text=text, score=score, log_probability=None)
