"""Images listed on stdin or in a table (see `capgen.tables`)."""

from __future__ import annotations

import codecs
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from capgen.captioning.batch.sources import BytesSource, FailedSource, Source, named_source
from capgen.config import ImageLimits, InputOptions
from capgen.errors import DataError, ImageError, did_you_mean
from capgen.images.decoders import printable
from capgen.tables.columns import image_column
from capgen.tables.rows import SUFFIXES, Table, is_table, read_table

STDIN_NAME = "-"
_BLOCK = 1 << 16


def read_stdin(stream: BinaryIO, options: InputOptions, limits: ImageLimits) -> Iterator[Source]:
    """Yield the images on stdin: the bytes of one image, or a list of names.

    The first block shows which it is: text has no NUL bytes, and every image format has one near
    its beginning. With `null_separated` it is always a list.
    """
    first = stream.read1(_BLOCK) if hasattr(stream, "read1") else stream.read(_BLOCK)
    if not options.null_separated and b"\0" in first:
        yield BytesSource(STDIN_NAME, first + stream.read(limits.max_bytes + 1))
        return
    end = b"\0" if options.null_separated else b"\n"
    first = first.removeprefix(codecs.BOM_UTF8)  # PowerShell may begin a list with it
    for line in _split(stream, first, end):
        name = line if options.null_separated else line.rstrip(b"\r")
        if name:
            # Not fsdecode: on Windows it accepts only UTF-8.
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
    """Return the images that a table names, relative to its folder.

    A row without an image becomes a failure that names its line.

    Raises:
        DataError: The file cannot be read, or has no column of images.
    """
    if not is_table(path):
        suffixes = f"{', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}"
        raise DataError(f"{path}: a manifest must be a {suffixes} file")
    try:
        # Bytes that are not UTF-8 survive, as in file names.
        file = path.open(encoding="utf-8-sig", errors="surrogateescape", newline="")
    except OSError as error:
        raise DataError(f"Cannot read {path}: {error.strerror}") from error
    table = read_table(path, file, strict=False)
    return _named_rows(path, table, _image_column(path, table, options.path_column), options)


def _image_column(path: Path, table: Table, given: str | None) -> str:
    names = table.names
    if any("\0" in name for name in names):
        raise DataError(f"{path}: not a UTF-8 table", hint="Save it as UTF-8.")
    if given is None:
        column = image_column(names, table.first)
        if column is not None:
            return column
        raise DataError(
            f"{path} has no column of images",
            hint=f"Name it with --path-column: {', '.join(names)}" if names else "It is empty.",
        )
    for name in (given, given.strip()):
        if name in names:
            return name
    raise DataError(f"{path} has no column '{given}'", hint=did_you_mean(given, names))


def _named_rows(path: Path, table: Table, column: str, options: InputOptions) -> Iterator[Source]:
    for row in table.rows:
        cell = row.cells.get(column)
        name = _name(cell, path.parent) if isinstance(cell, str) else ""
        if name:
            yield named_source(name, base=path.parent, allow_private=options.allow_private)
            continue
        place = f"{os.fspath(path)}:{row.line}"
        fault = row.fault or f"no image in column '{column}'"
        yield FailedSource(place, ImageError(f"{printable(place)}: {fault}", code="malformed"))


def _name(cell: str, folder: Path) -> str:
    """Strip a cell, unless the blanks belong to the name of an existing file."""
    bare = cell.strip()
    return cell if bare != cell and os.path.lexists(folder / cell) else bare
