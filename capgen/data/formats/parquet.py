"""Parquet files with a column of images and one of captions, as data sets on the Hub have them.

Rows are read a few at a time. The images' bytes are written into the cache folder once; later
readings take only the other columns.
"""

from __future__ import annotations

import functools
import importlib
import operator
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from capgen.cache_folders import SAVED_DATASETS
from capgen.data.formats.archived_images import find_images
from capgen.data.formats.captioned_rows import RowReader, RowSource
from capgen.data.formats.embedded_images import EmbeddedImages, holds_image
from capgen.data.formats.image_index import ImageIndex
from capgen.data.formats.reading import Collector, Reading, ReadOptions
from capgen.data.problems import Report
from capgen.data.splits import split_in, split_name
from capgen.errors import DataError, MissingDependencyError
from capgen.tables.rows import Row

DESCRIPTION = (
    "Parquet files with the images' bytes or names, as the Hub has them "
    "(`data/train-00000-of-00002.parquet`; extra `parquet`)"
)

_SUFFIX = ".parquet"
_ROWS_AT_ONCE = 16
# Without a buffer, pyarrow reads all values of a column in a group of rows at once.
_BUFFER_BYTES = 1 << 20


def parquet_files(root: Path) -> list[Path]:
    """Return the Parquet files of one data set; none if there are several data sets."""
    found = all_files(root)
    return found if len(sets_of(found)) == 1 else []


def all_files(root: Path) -> list[Path]:
    """Return `root`, or the Parquet files up to two folders below."""
    if root.is_file():
        return [root] if root.suffix.lower() == _SUFFIX else []
    below = chain.from_iterable(root.glob(f"{place}*{_SUFFIX}") for place in ("", "*/", "*/*/"))
    return [path for path in sorted(below) if path.is_file()]


def sets_of(files: Sequence[Path]) -> set[Path]:
    """Return the folders of the data sets: a split's folder belongs to the one around it."""
    folders = {path.parent for path in files}
    return {folder.parent if split_name(folder.name) else folder for folder in folders}


def read(root: Path, options: ReadOptions, report: Report) -> Reading:
    """Read the layout."""
    files = parquet_files(root)
    if not files:
        raise DataError(f"No Parquet files of one data set in {root}")
    extracted = SAVED_DATASETS.entry("parquet 1", str(root.resolve()), *map(_mark, files))
    mode = functools.reduce(operator.and_, (path.stat().st_mode for path in files), 0o666)
    embedded = EmbeddedImages(extracted, mode)
    base = root.parent if root.is_file() else root
    named, home = find_images(base, options, report)
    collector = Collector(report)
    reader = RowReader(
        images=named, options=options, collector=collector, report=report, embedded=embedded
    )
    for path in files:
        split = split_in(path.stem) or split_name(path.parent.name)
        name = f"{split or ''}{path.parent.name}-{path.stem}"
        reader.read(
            RowSource(
                file=path,
                rows=_rows(path, embedded),
                unit="row",
                split=split,
                name=name,
                looked_at=_ROWS_AT_ONCE,
            )
        )
    embedded.keep()
    if not embedded.names:
        return collector.reading(images=named.paths, home=home)
    return collector.reading(images=ImageIndex(extracted).paths, home=extracted)


def _mark(path: Path) -> str:
    status = path.stat()
    return f"{path.name}:{status.st_size}:{status.st_mtime_ns}"


def _rows(path: Path, embedded: EmbeddedImages) -> Iterator[Row]:
    """Yield the rows, without the images' bytes if these were extracted before."""
    try:
        arrow = importlib.import_module("pyarrow")
        library = importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        purpose = "Reading Parquet files"
        raise MissingDependencyError("pyarrow", extra="parquet", purpose=purpose) from error
    try:
        with library.ParquetFile(path, pre_buffer=False, buffer_size=_BUFFER_BYTES) as file:
            left = embedded.columns if embedded.complete else ()
            names = [name for name in file.schema_arrow.names if name not in left]
            number = 0
            for batch in file.iter_batches(batch_size=_ROWS_AT_ONCE, columns=names):
                for record in batch.to_pylist():
                    yield Row(line=number, cells=_cells(record, embedded))
                    number += 1
    # ValueError: a cell that no object of Python can be, as a time in the year 10,000.
    except (OSError, ValueError, arrow.ArrowException) as error:
        raise DataError(f"{path} cannot be read as Parquet: {error}") from error


def _cells(record: dict[str, Any], embedded: EmbeddedImages) -> dict[str, Any]:
    if not embedded.complete:
        embedded.columns.update(name for name, cell in record.items() if holds_image(cell))
        return record
    return {**{name: {"path": "kept"} for name in embedded.columns}, **record}
