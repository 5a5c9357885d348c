"""Images named in lists: on stdin, and in CSV or JSON Lines manifests."""

from __future__ import annotations

import codecs
import csv
import json
import os
import sys
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

from capgen.captioning.batch.sources import BytesSource, FailedSource, Source, named_source
from capgen.config import ImageLimits, InputOptions
from capgen.errors import DataError, ImageError, did_you_mean
from capgen.images.decoders import printable

STDIN_NAME = "-"
# Names that a manifest's column of images goes by, in order of preference.
PATH_COLUMNS = ("path", "image", "file", "file_name", "filename", "image_path", "filepath", "url")
_BLOCK = 1 << 16


def read_stdin(stream: BinaryIO, options: InputOptions, limits: ImageLimits) -> Iterator[Source]:
    """Yield the images that stdin brings: one image's bytes, or a list of names.

    Text has no NUL bytes and every image format has them near its beginning, so the first
    block tells which it is; with `null_separated` it is a list whatever it holds.
    """
    first = stream.read1(_BLOCK) if hasattr(stream, "read1") else stream.read(_BLOCK)
    if not options.null_separated and b"\0" in first:
        yield BytesSource(STDIN_NAME, first + stream.read(limits.max_bytes + 1))
        return
    end = b"\0" if options.null_separated else b"\n"
    first = first.removeprefix(codecs.BOM_UTF8)  # PowerShell may put it before a list
    for line in _split(stream, first, end):
        name = line if options.null_separated else line.rstrip(b"\r")
        if name:
            # Not fsdecode: on Windows it refuses what is no UTF-8.
            text = name.decode(sys.getfilesystemencoding(), "surrogateescape")
            yield named_source(text, allow_private=options.allow_private)


def _split(stream: BinaryIO, first: bytes, end: bytes) -> Iterator[bytes]:
    rest = b""
    block = first
    while block:
        *whole, rest = (rest + block).split(end)
        yield from whole
        block = stream.read1(_BLOCK) if hasattr(stream, "read1") else stream.read(_BLOCK)
    if rest:
        yield rest


def read_manifest(path: Path, options: InputOptions) -> Iterator[Source]:
    """Return the images that a manifest names, relative to its folder.

    A row without an image becomes a failure that names its line.

    Args:
        path: A `.csv`, `.tsv`, `.jsonl` or `.ndjson` file.
        options: Its path column; by default the first of `PATH_COLUMNS` that it has.

    Raises:
        DataError: The file cannot be read, or has no such column.
    """
    suffix = path.suffix.lower()
    try:
        # Bytes that are no UTF-8 come back as they were in file names.
        file = path.open(encoding="utf-8-sig", errors="surrogateescape", newline="")
    except OSError as error:
        raise DataError(f"Cannot read {path}: {error.strerror}") from error
    if suffix in (".csv", ".tsv"):
        reader = csv.DictReader(file, delimiter="\t" if suffix == ".tsv" else ",")
        columns = list(reader.fieldnames or ())
        rows: Iterable[tuple[int, Any]] = _csv_rows(reader)
    elif suffix in (".jsonl", ".ndjson"):
        rows = _json_rows(file)
        number, first = next(iter(rows), (0, None))
        columns = list(first) if isinstance(first, dict) else []
        rows = chain([(number, first)] if number else [], rows)
    else:
        file.close()
        raise DataError(f"{path}: a manifest is a .csv, .tsv, .jsonl or .ndjson file")
    column = _path_column(path, columns, options.path_column)
    return _named_rows(path, rows, column, options)


def _path_column(path: Path, columns: list[str], asked: str | None) -> str:
    known = [name for name in PATH_COLUMNS if name in columns]
    if asked is not None and asked in columns:
        return asked
    if asked is None and known:
        return known[0]
    wanted = "column of images" if asked is None else f"column '{asked}'"
    hint = did_you_mean(asked, columns) if asked else f"Name it with --path-column: {columns}"
    raise DataError(f"{path} has no {wanted}", hint=hint)


def _csv_rows(reader: csv.DictReader[str]) -> Iterator[tuple[int, Any]]:
    while True:
        try:
            row = next(reader, None)
        except csv.Error:
            yield reader.line_num, None
            continue
        if row is None:
            return
        yield reader.line_num, row


def _json_rows(lines: Iterable[str]) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            yield number, json.loads(line)
        except (json.JSONDecodeError, RecursionError):
            yield number, None


def _named_rows(
    path: Path, rows: Iterable[tuple[int, Any]], column: str, options: InputOptions
) -> Iterator[Source]:
    for number, row in rows:
        name = row.get(column) if isinstance(row, dict) else None
        if isinstance(name, str) and name:
            yield named_source(name, base=path.parent, allow_private=options.allow_private)
            continue
        place = f"{os.fspath(path)}:{number}"
        message = f"{printable(place)}: no image in column '{column}'"
        yield FailedSource(place, ImageError(message, code="malformed"))
