"""Records as rows of typed columns: of Parquet files, and of batches of tables in memory."""

from __future__ import annotations

from typing import Any

from capgen.config import NO_TAGS, TagOptions
from capgen.output.tables import columns, row
from capgen.records import Record

_TYPES = {
    **dict.fromkeys(("score", "log_probability", "confidence"), "float64"),
    **dict.fromkeys(("width", "height"), "int64"),
}


def column_types(tags: TagOptions = NO_TAGS, *, reviewed: bool = False) -> dict[str, str]:
    """Return the columns of `capgen.output.tables.columns` with Arrow's names of their types.

    These are `string`, `float64` and `int64`. Every column may have nulls.
    """
    return {name: _TYPES.get(name, "string") for name in columns(tags, reviewed=reviewed)}


def typed_row(
    record: Record, tags: TagOptions = NO_TAGS, *, reviewed: bool = False
) -> dict[str, Any]:
    """Return a record as a row with `column_types`."""
    cells = row(record, tags, reviewed=reviewed)
    return {name: _utf8(value) for name, value in cells.items()}


def _utf8(value: object) -> object:
    """Escape what is not text in a file name: Arrow's strings are UTF-8."""
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
