"""Parquet files of caption records, where pyarrow is installed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from capgen.config import NO_TAGS, TagOptions
from capgen.errors import MissingDependencyError
from capgen.output.base import Write
from capgen.output.tables import columns, row
from capgen.paths import writing
from capgen.records import Record

_GROUP_ROWS = 4096
_TYPES = {
    **dict.fromkeys(("score", "log_probability", "confidence"), "float64"),
    **dict.fromkeys(("width", "height"), "int64"),
}


@contextmanager
def open_parquet(
    path: Path, tags: TagOptions = NO_TAGS, *, reviewed: bool = False
) -> Iterator[Write]:
    """Write Parquet with the columns of `capgen.output.tables.columns`; needs pyarrow."""
    with open_rows(path, parquet_schema(tags, reviewed=reviewed)) as write_row:

        def write(record: Record, thumbnail: bytes | None) -> None:
            cells = row(record, tags, reviewed=reviewed)
            write_row({name: _utf8(value) for name, value in cells.items()})

        yield write


def parquet_schema(tags: TagOptions = NO_TAGS, *, reviewed: bool = False) -> Any:
    """Return pyarrow's schema of the columns of `capgen.output.tables.columns`.

    Raises:
        MissingDependencyError: pyarrow is not installed.
    """
    try:
        import pyarrow
    except ImportError as error:
        raise MissingDependencyError("pyarrow", extra="parquet", purpose="Parquet") from error
    names = columns(tags, reviewed=reviewed)
    return pyarrow.schema([(name, _TYPES.get(name, "string")) for name in names])


@contextmanager
def open_rows(path: Path, schema: Any) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Write rows of a schema to Parquet; the file appears when the block succeeds."""
    import pyarrow
    from pyarrow import parquet

    rows: list[dict[str, Any]] = []
    with writing(path) as temporary, parquet.ParquetWriter(temporary, schema) as table:

        def flush() -> None:
            table.write_table(pyarrow.Table.from_pylist(rows, schema))
            rows.clear()

        def write(cells: dict[str, Any]) -> None:
            rows.append(cells)
            if len(rows) >= _GROUP_ROWS:
                flush()

        yield write
        flush()


def _utf8(value: object) -> object:
    """Escape what is not text in a file name: Parquet's strings are UTF-8."""
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
