"""Rows of CSV, TSV and JSON Lines files, and which of their columns mean what."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capgen.data.formats.image_index import is_image
from capgen.data.formats.reading import ReadOptions
from capgen.data.problems import Problem, Report
from capgen.data.text_files import read_lines, read_text
from capgen.errors import DataError, UsageError, did_you_mean

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson")

_IMAGE_STEMS = ("file", "image", "img", "picture", "photo")
_IMAGE_ENDS = ("_name", "name", "_path", "path", "_file", "")
_IMAGE_NAMES = (*(stem + end for stem in _IMAGE_STEMS for end in _IMAGE_ENDS), "path")
_CAPTION_NAMES = (
    *("caption", "captions", "text", "texts", "raw", "sentence", "sentences", "comment"),
    *("description", "reference", "references", "prompt", "title", "label"),
)
_SPLIT_NAMES = ("split", "subset", "partition", "set", "fold")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row: where it is, and its cells by column."""

    line: int
    cells: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Which columns hold what; `split` may be missing."""

    image: str
    captions: tuple[str, ...]
    split: str | None

    def texts(self, row: Row) -> list[str] | None:
        """Return a row's captions, or None if they are not text; a cell may hold a JSON list."""
        texts: list[str] = []
        for column in self.captions:
            cell = row.cells.get(column)
            if isinstance(cell, str) and cell.lstrip().startswith("["):
                cell = _list_in(cell)
            if isinstance(cell, str):
                texts.append(cell)
            elif isinstance(cell, list) and all(isinstance(text, str) for text in cell):
                texts += cell
            elif cell is not None or len(self.captions) == 1:
                return None
        return texts


def read_rows(path: Path, report: Report) -> Iterator[Row]:
    """Yield the rows of a table; lines that are not rows are reported."""
    if path.suffix in (".jsonl", ".ndjson"):
        yield from _json_rows(path, report)
    else:
        yield from _csv_rows(path, report)


def find_columns(path: Path, first: Row, options: ReadOptions) -> Columns:
    """Return which columns hold what, as the caller says or as their names tell.

    Raises:
        UsageError: A column that was asked for is not there.
        DataError: The names do not tell.
    """
    names = list(first.cells)
    for asked in (options.image_column, options.caption_column, options.split_column):
        if asked is not None and asked not in names:
            raise UsageError(f"{path} has no column {asked!r}", hint=did_you_mean(asked, names))
    image = options.image_column or _named(names, _IMAGE_NAMES)
    captions = (options.caption_column,) if options.caption_column else _caption_columns(names)
    if image is None or not captions:
        missing = "image" if image is None else "caption"
        raise DataError(
            f"{path}:{first.line}: which column is the {missing}? There are: {', '.join(names)}",
            hint="Say so with --image-column and --caption-column.",
        )
    split = options.split_column or _named(names, _SPLIT_NAMES)
    return Columns(image=image, captions=captions, split=split)


def _json_rows(path: Path, report: Report) -> Iterator[Row]:
    for number, line in read_lines(path, report):
        try:
            record = json.loads(line)
        except (json.JSONDecodeError, RecursionError):
            record = None
        if isinstance(record, dict):
            yield Row(line=number, cells=record)
        else:
            message = f"not a JSON object: {line[:60]!r}"
            report(Problem(code="malformed_line", message=message, file=path, line=number))


def _csv_rows(path: Path, report: Report) -> Iterator[Row]:
    text = read_text(path, report)
    head = text.partition("\n")[0]
    delimiter = "\t" if path.suffix == ".tsv" else max(",\t;|", key=head.count)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    names: list[str] | None = None
    while True:
        number = lines.line_num + 1
        try:
            cells = next(lines)
        except StopIteration:
            return
        except csv.Error as error:
            report(Problem(code="malformed_line", message=str(error), file=path, line=number))
            continue
        if not any(cell.strip() for cell in cells):
            continue
        if names is None:
            # A table without a header begins with an image.
            headless = is_image(cells[0])
            names = ["image", "caption", "split"] if headless else [c.strip() for c in cells]
            if headless:
                names = names[: len(cells)]
            else:
                continue
        if len(cells) != len(names):
            message = f"{len(cells)} columns instead of {len(names)}"
            report(Problem(code="malformed_line", message=message, file=path, line=number))
            continue
        yield Row(line=number, cells=dict(zip(names, cells, strict=True)))


def _list_in(cell: str) -> list[str] | str:
    """Return the texts of a JSON list, or the cell itself: a caption may begin with a bracket."""
    try:
        value = json.loads(cell)
    except (json.JSONDecodeError, RecursionError):
        return cell
    texts = isinstance(value, list) and all(isinstance(text, str) for text in value)
    return value if texts else cell


def _named(names: list[str], known: tuple[str, ...]) -> str | None:
    lowered = {name.lower(): name for name in reversed(names)}
    return next((lowered[name] for name in known if name in lowered), None)


def _caption_columns(names: list[str]) -> tuple[str, ...]:
    """Return the caption column, or all of a numbered series (`caption_1`, `caption_2`, …)."""
    single = _named(names, _CAPTION_NAMES)
    if single is not None:
        return (single,)
    for known in _CAPTION_NAMES:
        series = [n for n in names if re.fullmatch(rf"{known}[ _-]?\d+", n, re.IGNORECASE)]
        if series:
            return tuple(series)
    return ()
