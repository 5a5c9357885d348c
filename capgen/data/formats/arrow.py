"""A directory that the `datasets` library saved (`save_to_disk`), read with that library.

Images are extracted into the cache folder once, byte for byte.
"""

from __future__ import annotations

import functools
import importlib
import operator
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from capgen.cache_folders import SAVED_DATASETS
from capgen.data.formats.captioned_rows import RowReader, RowSource
from capgen.data.formats.embedded_images import EmbeddedImages
from capgen.data.formats.image_index import ImageIndex
from capgen.data.formats.reading import Collector, Reading, ReadOptions
from capgen.data.problems import Report
from capgen.errors import DataError, MissingDependencyError
from capgen.tables.rows import Row

DESCRIPTION = "a directory written by `save_to_disk` (extra `datasets`)"


def is_saved_dataset(root: Path) -> bool:
    """Whether a folder is a directory that `save_to_disk` wrote."""
    return any((root / name).is_file() for name in ("dataset_dict.json", "state.json"))


def read(root: Path, options: ReadOptions, report: Report) -> Reading:
    """Read the directory; the parts of a DatasetDict are splits."""
    extracted = _cache_folder(root)
    collector = Collector(report)
    reader = RowReader(
        images=ImageIndex(extracted),
        options=options,
        collector=collector,
        report=report,
        embedded=EmbeddedImages(extracted, _mode(root)),
    )
    for split, rows in _parts(root):
        reader.read(RowSource(file=root, rows=rows, unit="row", split=split or None, looked_at=4))
    return collector.reading(images=ImageIndex(extracted).paths, home=extracted)


def _parts(root: Path) -> Iterator[tuple[str, Iterator[Row]]]:
    """Yield each split with its rows; images stay undecoded."""
    try:
        library = importlib.import_module("datasets")
    except ImportError as error:
        purpose = "Reading a saved `datasets` directory"
        raise MissingDependencyError("datasets", extra="datasets", purpose=purpose) from error
    try:
        loaded = library.load_from_disk(str(root))
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{root} cannot be read by `datasets`: {error}") from error
    for split, part in loaded.items() if isinstance(loaded, dict) else [("", loaded)]:
        yield split, _rows(part, library.Image)


def _rows(part: Any, image: Any) -> Iterator[Row]:
    for column, feature in part.features.items():
        if isinstance(feature, image):
            part = part.cast_column(column, image(decode=False))
    for number, record in enumerate(part):
        yield Row(line=number, cells=record)


def _cache_folder(root: Path) -> Path:
    marks = [f"{p.name}:{p.stat().st_size}:{p.stat().st_mtime_ns}" for p in root.rglob("*.arrow")]
    return SAVED_DATASETS.entry(str(root.resolve()), *sorted(marks))


def _mode(root: Path) -> int:
    """Return the mode bits that all Arrow files share."""
    modes = (path.stat().st_mode for path in root.rglob("*.arrow"))
    return functools.reduce(operator.and_, modes, 0o666)
