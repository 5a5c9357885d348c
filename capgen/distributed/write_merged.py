"""Writes the joined parts of all shares into one file."""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterator, Sequence
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any

from capgen.config import CsvOptions, TagOptions
from capgen.distributed.merge import CheckedParts, merged_lines, part_bytes
from capgen.distributed.vouchers import PartDone, iterate_runs
from capgen.distributed.written_parts import WrittenParts
from capgen.errors import UsageError
from capgen.output.formats import open_format
from capgen.output.parquet import open_rows, parquet_schema
from capgen.overwriting import TEXT_OR_DATA, check_output
from capgen.paths import writing
from capgen.records import record_from_dict


def write_merged(
    checked: CheckedParts, path: Path, format: str, csv: CsvOptions, tags: TagOptions
) -> None:
    """Write one file with all records, as one machine would have written it.

    Raises:
        UsageError: The parts do not hold what the format needs.
        DataError: A part's file is not what was written.
        ProtectedFileError: The file is something else that must not be replaced.
        StorageError: The file cannot be written.
    """
    if checked.written.format == "parquet":
        _write_rows(checked, path, format)
    elif format == "jsonl":
        check_output(path, TEXT_OR_DATA)
        with writing(path) as temporary, temporary.open("wb") as stream:
            stream.writelines(merged_lines(checked))
    else:
        with open_format(path, format, csv, tags) as write:
            for line in merged_lines(checked):
                write(record_from_dict(json.loads(line)), None)


def _write_rows(checked: CheckedParts, path: Path, format: str) -> None:
    if format != "parquet":
        raise UsageError(
            f"-o {path}: the parts are Parquet, which does not hold whole records",
            hint="Name a .parquet file.",
        )
    if not checked.same_order:
        raise UsageError(
            "The machines had the images in different orders, and parts that are Parquet cannot "
            "be put in order",
            hint="Read the parts as one table: their folder is a data set.",
        )
    check_output(path, TEXT_OR_DATA)
    first = next(iter(checked.all_parts), None)
    schema = parquet_schema() if first is None else _table(checked.written, first).schema
    streams = [_placed_rows(checked.written, parts) for parts in checked.parts]
    with open_rows(path, schema) as write:
        for _, rows in heapq.merge(*streams, key=lambda item: item[0]):
            for cells in rows:
                write(cells)


def _placed_rows(
    written: WrittenParts, parts: Sequence[PartDone]
) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """Yield the position of each unit with its rows."""
    for part in parts:
        rows = iter(_table(written, part).to_pylist())
        for position, records in iterate_runs(part):
            yield position, list(islice(rows, records))


def _table(written: WrittenParts, part: PartDone) -> Any:
    from pyarrow import parquet

    return parquet.read_table(BytesIO(part_bytes(written, part)))
