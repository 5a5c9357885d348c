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

from capgen.data.cache.folders import SAVED_DATASETS
from capgen.data.formats.image_index import ImageIndex, base_name
from capgen.data.formats.reading import Collector, Reading, ReadOptions
from capgen.data.formats.rows import find_columns
from capgen.data.problems import Problem, Report
from capgen.errors import DataError, MissingDependencyError
from capgen.paths import folded, works_everywhere, writing
from capgen.tables.rows import Row


def is_saved_dataset(root: Path) -> bool:
    """Whether a folder is a directory that `save_to_disk` wrote."""
    return any((root / name).is_file() for name in ("dataset_dict.json", "state.json"))


def read(root: Path, options: ReadOptions, report: Report) -> Reading:
    """Read the directory; the parts of a DatasetDict are splits."""
    collector = Collector(report)
    extracted = _cache_folder(root)
    places: dict[str, Path] = {}
    mode = _mode(root)
    for split, number, record in _records(root):
        columns = find_columns(f"{root}:{number}", record, options)
        texts = columns.texts(Row(line=number, cells=record))
        row = f"{split or 'row'}-{number:08d}"
        name = _extract(record[columns.image], extracted, row, places, mode)
        if texts is None or name is None:
            message = f"row {number} has no image or no text"
            report(Problem(code="malformed_line", message=message, file=root, line=number))
            continue
        for text in texts:
            collector.caption(name, places[folded(name)], text, root, number)
        label = record.get(columns.split) if columns.split else split
        if label:
            collector.split(name, str(label), root, number)
    return collector.reading(images=ImageIndex(extracted).paths, home=extracted)


def _records(root: Path) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """Yield split, row number and row; images stay undecoded."""
    try:
        library = importlib.import_module("datasets")
    except ImportError as error:
        purpose = "Reading a saved `datasets` directory"
        raise MissingDependencyError("datasets", extra="datasets", purpose=purpose) from error
    try:
        loaded = library.load_from_disk(str(root))
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{root} cannot be read by `datasets`: {error}") from error
    parts = loaded.items() if isinstance(loaded, dict) else [("", loaded)]
    for split, part in parts:
        for column, feature in part.features.items():
            if isinstance(feature, library.Image):
                part = part.cast_column(column, library.Image(decode=False))
        for number, record in enumerate(part):
            yield split, number, record


def _extract(cell: Any, folder: Path, row: str, places: dict[str, Path], mode: int) -> str | None:
    """Write a row's image into `folder` and return its name; a path is used where it is.

    `places` maps folded names to where the images are, for the rows so far.
    """
    if isinstance(cell, str):
        cell = {"path": cell}
    data, path = (cell.get("bytes"), cell.get("path")) if isinstance(cell, dict) else (None, "")
    if data is None:
        return _add(Path(path), Path(path).name, row, places) if path else None
    own = f"{row}.{_suffix(data)}"
    name = _add(folder, base_name(path) if path else own, row, places)
    target = places[folded(name)] = folder / (name if works_everywhere(name) else own)
    if not target.exists():
        with writing(target, mode=mode & 0o666 | 0o200, sweep=False) as temporary:
            temporary.write_bytes(data)
    return name


def _add(place: Path, name: str, row: str, places: dict[str, Path]) -> str:
    """Return a name that no other image has, after adding its place."""
    if folded(name) in places:
        name = f"{row}-{name}"
    places[folded(name)] = place
    return name


def _cache_folder(root: Path) -> Path:
    marks = [f"{p.name}:{p.stat().st_size}:{p.stat().st_mtime_ns}" for p in root.rglob("*.arrow")]
    return SAVED_DATASETS.entry(str(root.resolve()), *sorted(marks))


def _mode(root: Path) -> int:
    """Return the mode bits that all Arrow files share."""
    modes = (path.stat().st_mode for path in root.rglob("*.arrow"))
    return functools.reduce(operator.and_, modes, 0o666)


def _suffix(data: bytes) -> str:
    if data.startswith(b"\x89PNG"):
        return "png"
    return "webp" if data[8:12] == b"WEBP" else "jpg"
