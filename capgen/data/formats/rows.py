"""Tables of data sets: faulty rows are reported, and the user may name the columns."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from capgen.data.formats.reading import ReadOptions
from capgen.data.problems import Problem, Report
from capgen.data.text_files import read_text
from capgen.errors import DataError, UsageError, did_you_mean
from capgen.tables.columns import Columns, caption_columns, image_column, split_column
from capgen.tables.rows import Row, Table, read_table


def open_table(path: Path, report: Report) -> Table:
    """Begin to read a table; rows with a fault are reported and left out."""
    table = read_table(path, io.StringIO(read_text(path, report), newline=""))
    return replace(table, rows=_sound(path, table.rows, report))


def _sound(path: Path, rows: Iterator[Row], report: Report) -> Iterator[Row]:
    for row in rows:
        if row.fault:
            report(Problem(code="malformed_line", message=row.fault, file=path, line=row.line))
        else:
            yield row


def find_columns(where: str, cells: Mapping[str, Any], options: ReadOptions) -> Columns:
    """Return which columns hold what, by the caller's options or by their names.

    `cells` is the first row, which messages call `where`.
    """
    names = list(cells)
    for asked in (options.image_column, options.caption_column, options.split_column):
        if asked is not None and asked not in names:
            raise UsageError(f"{where}: no column {asked!r}", hint=did_you_mean(asked, names))
    image = options.image_column or image_column(names, cells)
    captions = (options.caption_column,) if options.caption_column else caption_columns(names)
    if image is None or not captions:
        missing = "image" if image is None else "caption"
        raise DataError(
            f"{where}: which column is the {missing}? The columns are: {', '.join(names)}",
            hint="Name them with --image-column and --caption-column.",
        )
    split = options.split_column or split_column(names)
    return Columns(image=image, captions=captions, split=split)
