"""Rows with an image and its captions, whatever file they come from.

Tables, lists in JSON files and Parquet files all have them. Which column holds what is decided by
the names of the columns and by which of them name images that are there; users may say it.
"""

from __future__ import annotations

import codecs
import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from capgen.data.formats.conversations import is_conversation
from capgen.data.formats.embedded_images import holds_image
from capgen.data.formats.image_index import ImageIndex
from capgen.data.formats.reading import ReadOptions
from capgen.data.problems import Report
from capgen.data.text_files import read_text
from capgen.errors import DataError, UsageError, did_you_mean
from capgen.tables.columns import (
    CAPTION_NAMES,
    IMAGE_NAMES,
    Columns,
    caption_columns,
    image_column,
    known_columns,
    split_column,
)
from capgen.tables.rows import Table, read_table

# Columns of ids name images too, if images with these names (and a suffix) are there.
ID_NAMES = ("image_id", "img_id", "id", "key", "name", "images")
# Columns that may hold captions or the numbers of classes.
_OF_CLASSES = "label"
_HEAD_BYTES = 1 << 16
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def open_table(path: Path, report: Report) -> Table:
    """Begin to read a CSV, TSV or JSON Lines file."""
    return read_table(path, io.StringIO(read_text(path, report), newline=""))


def head_of_table(path: Path) -> Mapping[str, Any]:
    """Return the first sound row of a table; empty if its beginning has none."""
    try:
        with path.open("rb") as file:
            data = file.read(_HEAD_BYTES)
    except OSError as error:
        raise DataError(f"Cannot read {path}: {error.strerror}") from error
    text = data.decode("utf-16" if data.startswith(_UTF16) else "utf-8-sig", errors="replace")
    lines = text.splitlines(keepends=True)
    if len(data) == _HEAD_BYTES:
        lines = lines[:-1] or lines
    return read_table(path, lines, strict=False).first


def has_captions(cells: Mapping[str, Any]) -> bool:
    """Whether a row has an image's name or bytes, and text, in columns with known names."""
    return names_image(cells) and names_captions(cells)


def names_image(cells: Mapping[str, Any]) -> bool:
    """Whether a row has a column that may hold images."""
    return bool(known_columns(list(cells), (*IMAGE_NAMES, *ID_NAMES))) or any(
        holds_image(cell) for cell in cells.values()
    )


def names_captions(cells: Mapping[str, Any]) -> bool:
    """Whether a row has text in a column of captions, and not the number of a class."""
    columns = caption_columns(list(cells))
    return any(_is_text(column, cells[column]) for column in columns) or any(
        map(is_conversation, cells.values())
    )


def _is_text(column: str, cell: Any) -> bool:
    if isinstance(cell, list):
        return all(isinstance(item, str) for item in cell)
    is_number = column.lower().startswith(_OF_CLASSES) and str(cell).strip().isdigit()
    return isinstance(cell, str) and not is_number


def other_captions(cells: Mapping[str, Any], columns: Columns) -> list[str]:
    """Return the columns of a row that have captions, too, but are not among those read."""
    return [
        name
        for name in known_columns(list(cells), CAPTION_NAMES)
        if name not in columns.captions
        and name != columns.image
        and not name.lower().startswith(_OF_CLASSES)
        and _is_text(name, cells[name])
    ]


def find_columns(
    where: str,
    rows: Sequence[Mapping[str, Any]],
    options: ReadOptions,
    images: ImageIndex,
) -> Columns:
    """Return which columns hold what, by the caller's options, their names and the images.

    Args:
        where: What messages call the first row.
        rows: The first rows.
        options: The columns that the caller names.
        images: The images that may be meant.

    Raises:
        UsageError: The caller names a column that is not there.
        DataError: It is not clear which column holds the images or captions.
    """
    names = list(rows[0])
    for asked in (options.image_column, options.caption_column, options.split_column):
        if asked is not None and asked not in names:
            raise UsageError(f"{where}: no column {asked!r}", hint=did_you_mean(asked, names))
    image = options.image_column or _image_column(where, rows, images)
    captions = (options.caption_column,) if options.caption_column else _caption_columns(rows)
    if image is None or not captions:
        missing = "image" if image is None else "caption"
        raise DataError(
            f"{where}: which column is the {missing}? The columns are: {', '.join(names)}",
            hint="Name them with --image-column and --caption-column.",
        )
    split = options.split_column or split_column(names)
    return Columns(image=image, captions=captions, split=split)


def name_in(cell: Any) -> str | None:
    """Return the name of an image in a cell: text, an id that is a number, or a list of one."""
    if isinstance(cell, list) and len(cell) == 1:
        cell = cell[0]
    if isinstance(cell, int) and not isinstance(cell, bool):
        return str(cell)
    return cell.strip() if isinstance(cell, str) and cell.strip() else None


def _caption_columns(rows: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    named = caption_columns(list(rows[0]))
    if named:
        return named
    talks = [name for name in rows[0] if any(is_conversation(row.get(name)) for row in rows)]
    return tuple(talks) if len(talks) == 1 else ()


def _image_column(where: str, rows: Sequence[Mapping[str, Any]], images: ImageIndex) -> str | None:
    names = list(rows[0])
    embedded = [name for name in names if any(holds_image(row.get(name)) for row in rows)]
    if embedded:
        known = known_columns(embedded, IMAGE_NAMES) or embedded
        if len(known) > 1:
            raise _unclear(where, known, "all hold images")
        return known[0]
    named = _meant(rows, known_columns(names, IMAGE_NAMES), images)
    for index in range(len(rows)):
        places = {found[index] for found in named.values()} - {None}
        if len(places) > 1:
            raise _unclear(where, list(named), "name different images")
    found = named or _meant(rows, known_columns(names, ID_NAMES), images)
    if not found:
        return image_column(names, rows[0])
    return max(found, key=lambda name: sum(place is not None for place in found[name]))


def _meant(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[str], images: ImageIndex
) -> dict[str, list[Path | None]]:
    """Return the images that the rows of columns mean, of columns that mean any."""
    meant = {}
    for column in columns:
        found = [name_in(row.get(column)) for row in rows]
        places = [None if name is None else images.known(name) for name in found]
        if any(places):
            meant[column] = places
    return meant


def _unclear(where: str, columns: Sequence[str], why: str) -> DataError:
    return DataError(
        f"{where}: the columns {' and '.join(map(repr, columns))} {why}",
        hint="Name one of them with --image-column.",
    )


def prescribe(options: ReadOptions, column: str, cells: Mapping[str, Any]) -> ReadOptions:
    """Return options that name a layout's own image column, unless the caller names one."""
    if options.image_column is not None or column not in cells:
        return options
    return replace(options, image_column=column)
