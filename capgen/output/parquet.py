"""Parquet files of caption records, where pyarrow is installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from capgen.errors import MissingDependencyError
from capgen.output.base import Write
from capgen.output.tables import COLUMNS, row
from capgen.paths import writing
from capgen.records import Record

_ROWS_A_GROUP = 4096
_TYPES = {
    **dict.fromkeys(("score", "log_probability", "confidence"), "float64"),
    **dict.fromkeys(("width", "height"), "int64"),
}


@contextmanager
def open_parquet(path: Path) -> Iterator[Write]:
    """Write Parquet with the columns of `capgen.output.tables.COLUMNS`.

    Raises:
        MissingDependencyError: pyarrow is not installed.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise MissingDependencyError("pyarrow", extra="parquet", purpose="Parquet") from error
    schema = pyarrow.schema([(name, _TYPES.get(name, "string")) for name in COLUMNS])
    rows: list[dict[str, Any]] = []
    with writing(path) as temporary, parquet.ParquetWriter(temporary, schema) as table:

        def flush() -> None:
            table.write_table(pyarrow.Table.from_pylist(rows, schema))
            rows.clear()

        def write(record: Record, thumbnail: bytes | None) -> None:
            # A file name that is no text comes out escaped: Parquet's strings are UTF-8.
            clean = {
                name: value.encode("utf-8", "backslashreplace").decode()
                if isinstance(value, str)
                else value
                for name, value in row(record).items()
            }
            rows.append(clean)
            if len(rows) >= _ROWS_A_GROUP:
                flush()

        yield write
        flush()
