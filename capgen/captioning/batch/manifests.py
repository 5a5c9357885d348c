"""Images listed on stdin or in a table (see `capgen.tables`)."""

from __future__ import annotations

import codecs
import io
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from capgen.addresses import without_credentials
from capgen.captioning.batch.sources import BytesSource, FailedSource, Source, named_source
from capgen.config import ImageLimits, InputOptions
from capgen.errors import DataError, ImageError
from capgen.images.decoders import printable
from capgen.tables.columns import image_column, named_column
from capgen.tables.rows import SUFFIXES, Table, is_parquet, is_table, read_table

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


def read_manifest(place: Path | str, options: InputOptions) -> Iterator[Source]:
    """Return the images that a table names, relative to its folder.

    A row without an image becomes a failure that names its line.

    Args:
        place: The table's path, or its address in a store.
        options: Which column names the images, and from where they may be fetched.

    Raises:
        DataError: The file cannot be read, or has no column of images.
        StoreError: The store does not give it.
        MissingDependencyError: It is Parquet, and pyarrow is not installed.
    """
    path = Path(place) if isinstance(place, Path) else PurePosixPath(place)
    name = os.fspath(place) if isinstance(place, Path) else without_credentials(place)
    if is_parquet(name):
        from capgen.captioning.batch.parquet_rows import read_parquet

        return read_parquet(place, options, ImageLimits())
    if not is_table(path):
        suffixes = ", ".join(SUFFIXES)
        raise DataError(f"{name}: a manifest must be a {suffixes} or .parquet file")
    table = read_table(path, _lines(place), strict=False)
    column = _image_column(name, table, options.path_column)
    base = place.parent if isinstance(place, Path) else place.rpartition("/")[0]
    return _named_rows(name, base, table, column, options)


def _lines(place: Path | str) -> Iterable[str]:
    # Bytes that are not UTF-8 survive, as in file names.
    if isinstance(place, str):
        from capgen.storage.reading import open_object

        text = open_object(place)
        return io.TextIOWrapper(text, encoding="utf-8-sig", errors="surrogateescape", newline="")
    try:
        return place.open(encoding="utf-8-sig", errors="surrogateescape", newline="")
    except OSError as error:
        raise DataError(f"Cannot read {place}: {error.strerror}") from error


def _image_column(place: str, table: Table, given: str | None) -> str:
    if any("\0" in name for name in table.names):
        raise DataError(f"{place}: not a UTF-8 table", hint="Save it as UTF-8.")
    column = image_column(table.names, table.first) if given is None else None
    return column or named_column(place, table.names, given)


def _named_rows(
    name: str, base: Path | str, table: Table, column: str, options: InputOptions
) -> Iterator[Source]:
    for row in table.rows:
        cell = row.cells.get(column)
        image = _name(cell, base) if isinstance(cell, str) else ""
        if image:
            yield named_source(image, base=base, allow_private=options.allow_private)
            continue
        place = f"{name}:{row.line}"
        fault = row.fault or f"no image in column '{column}'"
        yield FailedSource(place, ImageError(f"{printable(place)}: {fault}", code="malformed"))


def _name(cell: str, folder: Path | str) -> str:
    """Strip a cell, unless the blanks belong to the name of an existing file."""
    bare = cell.strip()
    kept = bare != cell and isinstance(folder, Path) and os.path.lexists(folder / cell)
    return cell if kept else bare
