"""The rows of CSV, TSV and JSON Lines files. See `capgen.tables` for the rules."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import PurePath
from typing import Any

from capgen.file_types import has_image_suffix
from capgen.tables.delimited import find_delimiter, read_cells
from capgen.tables.flickr30k import mend

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson")

_JSON_SUFFIXES = (".jsonl", ".ndjson")
_TEXT_TABLES = ("captions.txt",)
_WITHOUT_HEADER = ("image", "caption", "split")
# How many rows are searched for the first one without a fault.
_LOOKED_AT = 100


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row.

    Attributes:
        line: Its first line, counted from 1.
        cells: Its cells by column: text, or in JSON Lines any value.
        fault: Why it cannot be used, or an empty string.
        mended: What was put right in it, or an empty string.
        surplus: The text beyond the last column: of a caption whose comma was not in quotes.
    """

    line: int
    cells: Mapping[str, Any] = field(default_factory=dict)
    fault: str = ""
    mended: str = ""
    surplus: str = ""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table that is being read.

    Attributes:
        names: Names of its columns; empty if unknown.
        first: The cells of its first row without a fault; empty if there is none.
        rows: All rows, read lazily.
    """

    names: list[str]
    first: Mapping[str, Any]
    rows: Iterator[Row]


def is_table(path: PurePath) -> bool:
    """Whether a file is a table, by its name."""
    return path.suffix.lower() in SUFFIXES or path.name.lower() in _TEXT_TABLES


def is_parquet(name: str) -> bool:
    """Whether a file is Parquet, by its name."""
    return name.lower().endswith(".parquet")


def read_table(
    path: PurePath, lines: Iterable[str], *, strict: bool = True, short_rows: bool = False
) -> Table:
    """Begin to read a table, in the format of its suffix.

    `lines` have their endings, as a file opened with `newline=""` yields them. If `strict`,
    misplaced quotes and missing cells are faults, unless `short_rows` allows the last cells to
    be missing.
    """
    suffix = path.suffix.lower()
    if suffix in _JSON_SUFFIXES:
        names, rows = list[str](), _json_rows(lines)
    else:
        names, rows = _csv_rows(
            lines, "\t" if suffix == ".tsv" else None, strict, short_rows=short_rows
        )
    ahead = []
    for row in islice(rows, _LOOKED_AT):
        ahead.append(row)
        if not row.fault:
            break
    first = ahead[-1].cells if ahead else {}  # those of a faulty row are empty
    return Table(names=names or list(first), first=first, rows=chain(ahead, rows))


def _json_rows(lines: Iterable[str]) -> Iterator[Row]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):  # also for a number with too many digits
            record = None
        if isinstance(record, dict):
            yield Row(line=number, cells=record)
        else:
            yield Row(line=number, fault=f"not a JSON object: {line.rstrip()[:60]!r}")


def _csv_rows(
    lines: Iterable[str], delimiter: str | None, strict: bool, *, short_rows: bool
) -> tuple[list[str], Iterator[Row]]:
    """Return the names of the columns and the rows."""
    lines = iter(lines)
    head = next(lines, "")
    delimiter = delimiter or find_delimiter(head)
    rows = read_cells(chain([head], lines), delimiter, strict=strict)
    faults = []
    for line, cells in rows:
        if isinstance(cells, str):
            faults.append(Row(line=line, fault=cells))
            continue
        if _address_second(cells):  # as Conceptual Captions have it
            names = ["caption", "image"]
            rows = chain([(line, cells)], rows)
        elif has_image_suffix(cells[0].strip()):
            names = list(_WITHOUT_HEADER[: len(_with_commas(cells, delimiter))])
            rows = ((n, _with_commas(row, delimiter)) for n, row in chain([(line, cells)], rows))
        else:
            names = [cell.strip() for cell in cells]
        least = 0 if short_rows else len(names)
        made = (_row(line, cells, names, least if strict else None) for line, cells in rows)
        return names, chain(faults, made)
    return [], iter(faults)


def _address_second(cells: list[str]) -> bool:
    """Whether a table without a header has captions and the addresses of their images."""
    second = cells[1].strip().lower() if len(cells) == 2 else ""
    return second.startswith(("http://", "https://")) and not has_image_suffix(cells[0].strip())


def _with_commas(cells: list[str] | str, delimiter: str) -> list[str] | str:
    """Return the cells of a table without a header, commas in captions put back.

    A blank follows a comma of a caption, and none the commas between cells.
    """
    if isinstance(cells, str) or len(cells) < 3 or delimiter not in ",;":
        return cells
    if cells[1].startswith(" "):  # here one follows every comma
        return cells
    whole = cells[:2]
    for cell in cells[2:]:
        if cell.startswith(" "):
            whole[-1] += delimiter + cell
        else:
            whole.append(cell)
    return whole


def _row(line: int, cells: list[str] | str, names: list[str], least: int | None) -> Row:
    """Return a row, which must have `least` cells and no more than there are names, if given."""
    if isinstance(cells, str):
        return Row(line=line, fault=cells)
    cells, mended = mend(cells, names)
    if least is not None and not least <= len(cells) <= len(names):
        return Row(line=line, fault=f"{len(cells)} columns instead of {len(names)}")
    surplus = " ".join(filter(None, map(str.strip, cells[len(names) :])))
    pairs = dict(zip(names, cells, strict=False))
    return Row(line=line, cells=pairs, mended=mended, surplus=surplus)
