"""Parquet files of caption records, where pyarrow is installed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from capgen.config import NO_TAGS, TagOptions
from capgen.errors import MissingDependencyError
from capgen.output.base import Write
from capgen.output.typed_rows import column_types, typed_row
from capgen.paths import writing
from capgen.records import Record

_GROUP_ROWS = 4096


@contextmanager
def open_parquet(
    path: Path, tags: TagOptions = NO_TAGS, *, reviewed: bool = False
) -> Iterator[Write]:
    """Write Parquet with the columns of `capgen.output.typed_rows`; needs pyarrow."""
    with open_rows(path, parquet_schema(tags, reviewed=reviewed)) as write_row:

        def write(record: Record, thumbnail: bytes | None) -> None:
            write_row(typed_row(record, tags, reviewed=reviewed))

        yield write


def parquet_schema(tags: TagOptions = NO_TAGS, *, reviewed: bool = False) -> Any:
    """Return the pyarrow.Schema of the columns of `capgen.output.typed_rows`.

    Raises:
        MissingDependencyError: pyarrow is not installed.
    """
    try:
        import pyarrow
    except ImportError as error:
        raise MissingDependencyError("pyarrow", extra="parquet", purpose="Parquet") from error
    return pyarrow.schema(list(column_types(tags, reviewed=reviewed).items()))


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
