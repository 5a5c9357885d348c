"""The rows of CSV, TSV and JSON Lines files. See `capgen.tables` for the rules."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any

from capgen.file_types import has_image_suffix
from capgen.tables.delimited import find_delimiter, read_cells

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson")

_JSON_SUFFIXES = (".jsonl", ".ndjson")
_TEXT_TABLES = ("captions.txt",)
_WITHOUT_HEADER = ("image", "caption", "split")
# Rows in which the first one without a fault is looked for.
_LOOKED_AT = 100


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row.

    Attributes:
        line: The line it begins on, counted from 1.
        cells: What it holds by column: text, and in JSON Lines any value.
        fault: Why it is not a row of the table, or an empty string.
    """

    line: int
    cells: Mapping[str, Any] = field(default_factory=dict)
    fault: str = ""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table that is being read.

    Attributes:
        names: Names of its columns; none if nothing tells them.
        first: The cells of its first row without a fault; none if there is no such row.
        rows: All rows, read as they are needed.
    """

    names: list[str]
    first: Mapping[str, Any]
    rows: Iterator[Row]


def is_table(path: Path) -> bool:
    """Whether a file is a table, by its name."""
    return path.suffix.lower() in SUFFIXES or path.name in _TEXT_TABLES


def read_table(path: Path, lines: Iterable[str], *, strict: bool = True) -> Table:
    """Begin to read a table.

    Args:
        path: The table; its name says how it is written.
        lines: Its lines with their endings, as a file opened with `newline=""` yields them.
        strict: Whether quotes in the wrong place and missing cells are faults.
    """
    suffix = path.suffix.lower()
    if suffix in _JSON_SUFFIXES:
        names, rows = list[str](), _json_rows(lines)
    else:
        names, rows = _csv_rows(lines, "\t" if suffix == ".tsv" else None, strict)
    ahead = []
    first: Mapping[str, Any] = {}
    for row in islice(rows, _LOOKED_AT):
        ahead.append(row)
        if not row.fault:
            first = row.cells
            break
    return Table(names=names or list(first), first=first, rows=chain(ahead, rows))


def _json_rows(lines: Iterable[str]) -> Iterator[Row]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):  # or a number of more digits than Python reads
            record = None
        if isinstance(record, dict):
            yield Row(line=number, cells=record)
        else:
            yield Row(line=number, fault=f"not a JSON object: {line.rstrip()[:60]!r}")


def _csv_rows(
    lines: Iterable[str], delimiter: str | None, strict: bool
) -> tuple[list[str], Iterator[Row]]:
    """Return the names of the columns and the rows."""
    lines = iter(lines)
    head = next(lines, "")
    found = read_cells(chain([head], lines), delimiter or find_delimiter(head), strict=strict)
    faults = []
    for line, cells in found:
        if isinstance(cells, str):
            faults.append(Row(line=line, fault=cells))
            continue
        if has_image_suffix(cells[0].strip()):
            names = list(_WITHOUT_HEADER[: len(cells)])
            found = chain([(line, cells)], found)
        else:
            names = [cell.strip() for cell in cells]
        return names, chain(faults, (_row(line, cells, names, strict) for line, cells in found))
    return [], iter(faults)


def _row(line: int, cells: list[str] | str, names: list[str], strict: bool) -> Row:
    if isinstance(cells, str):
        return Row(line=line, fault=cells)
    if strict and len(cells) != len(names):
        return Row(line=line, fault=f"{len(cells)} columns instead of {len(names)}")
    return Row(line=line, cells=dict(zip(names, cells, strict=False)))
