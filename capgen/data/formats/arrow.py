"""A directory that the `datasets` library saved (`save_to_disk`), read with that library.

Images are taken out into the cache folder once, in the bytes they were stored in.
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


def recognise(root: Path) -> str | None:
    """Return what makes `root` look like this layout, or None."""
    for name in ("dataset_dict.json", "state.json"):
        if (root / name).is_file():
            return name
    return None


def read(root: Path, options: ReadOptions, report: Report) -> Reading:
    """Read the directory; the parts of a DatasetDict are splits.

    Raises:
        MissingDependencyError: The library `datasets` is not installed.
        DataError: It cannot read the directory.
    """
    collector = Collector(report)
    taken = _cache_folder(root)
    written: dict[str, Path] = {}
    mode = _mode(root)
    for split, number, record in _records(root):
        columns = find_columns(f"{root}:{number}", record, options)
        texts = columns.texts(Row(line=number, cells=record))
        called = f"{split or 'row'}-{number:08d}"
        name = _take_out(record[columns.image], taken, called, written, mode)
        if texts is None or name is None:
            message = f"row {number} has no image or no text"
            report(Problem(code="malformed_line", message=message, file=root, line=number))
            continue
        for text in texts:
            collector.caption(name, written[folded(name)], text, root, number)
        label = record.get(columns.split) if columns.split else split
        if label:
            collector.split(name, str(label), root, number)
    return collector.reading(images=ImageIndex(taken).paths, home=taken)


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


def _take_out(
    value: Any, folder: Path, row: str, written: dict[str, Path], mode: int
) -> str | None:
    """Write a row's image and return its name; a path is used where it is.

    Args:
        value: The row's cell.
        folder: Where to write.
        row: What the row is called.
        written: Folded name → where the image is, for the rows so far.
        mode: Mode bits that the file may have.
    """
    if isinstance(value, str):
        return _note(Path(value), Path(value).name, row, written)
    data, path = (value.get("bytes"), value.get("path")) if isinstance(value, dict) else (None, "")
    if data is None:
        return _note(Path(path), Path(path).name, row, written) if path else None
    own = f"{row}.{_suffix(data)}"
    name = _note(folder, base_name(path) if path else own, row, written)
    target = written[folded(name)] = folder / (name if works_everywhere(name) else own)
    if not target.exists():
        with writing(target, mode=mode & 0o666 | 0o200, sweep=False) as temporary:
            temporary.write_bytes(data)
    return name


def _note(place: Path, name: str, row: str, written: dict[str, Path]) -> str:
    """Return a name that no other image has, and note where it is."""
    if folded(name) in written:
        name = f"{row}-{name}"
    written[folded(name)] = place
    return name


def _cache_folder(root: Path) -> Path:
    marks = [f"{p.name}:{p.stat().st_size}:{p.stat().st_mtime_ns}" for p in root.rglob("*.arrow")]
    return SAVED_DATASETS.entry(str(root.resolve()), *sorted(marks))


def _mode(root: Path) -> int:
    """Return the mode bits that all files of rows have."""
    modes = (path.stat().st_mode for path in root.rglob("*.arrow"))
    return functools.reduce(operator.and_, modes, 0o666)


def _suffix(data: bytes) -> str:
    if data.startswith(b"\x89PNG"):
        return "png"
    return "webp" if data[8:12] == b"WEBP" else "jpg"
