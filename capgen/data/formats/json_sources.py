"""The JSON files of a data set, and what their readers share."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from capgen.data.formats.archived_images import find_images
from capgen.data.formats.captioned_rows import RowReader, RowSource
from capgen.data.formats.picking import one_per_split, tell_left_out
from capgen.data.formats.reading import Collector, Reading, ReadOptions
from capgen.data.problems import Report
from capgen.data.splits import split_in
from capgen.data.text_files import read_bytes, read_json
from capgen.errors import DataError
from capgen.file_types import has_image_suffix
from capgen.tables.rows import Row

# A file's content → its rows, or None if it is in another form.
RowsOf = Callable[[Any], Iterable[Any] | None]

_FOLDER = "annotations"


def json_files(root: Path) -> list[Path]:
    """Return `root`, or the JSON files in it and in `annotations/`, except images' sidecars."""
    if root.is_file():
        return [root] if root.suffix.lower() == ".json" else []
    found: list[Path] = []
    for folder in (root, root / _FOLDER):
        files = sorted(folder.iterdir()) if folder.is_dir() else []
        named = [path for path in files if has_image_suffix(path.name)]
        images = {name for path in named for name in (path.stem, path.name)}
        found += [
            path
            for path in files
            if path.suffix.lower() == ".json" and path.stem not in images and path.is_file()
        ]
    return found


def content_of(path: Path) -> Any:
    """Return the content of a JSON file, or None if it has none that can be read."""
    try:
        return json.loads(read_bytes(path))
    except (ValueError, RecursionError):
        return _as_windows_wrote(path)


def _as_windows_wrote(path: Path) -> Any:
    """Return the content of a file whose encoding is not JSON's: it is read, and reported."""
    try:
        return json.loads(read_bytes(path).decode("cp1252"))
    except (ValueError, RecursionError):
        return None


def captioned(root: Path, rows_of: RowsOf) -> list[Path]:
    """Return the only file of a form, or one per split; none where that leaves a choice."""
    return one_per_split([path for path in json_files(root) if rows_of(content_of(path))])


def base_of(root: Path) -> Path:
    """Return the folder of a data set that is named by itself or by its JSON file."""
    folder = root.parent if root.is_file() else root
    return folder.parent if root.is_file() and folder.name == _FOLDER else folder


def read_rows(
    root: Path, rows_of: RowsOf, options: ReadOptions, report: Report, *, form: str
) -> Reading:
    """Read the files of a form.

    Args:
        root: A folder or file.
        rows_of: What makes rows of a file's content.
        options: What the caller knows.
        report: Receives problems.
        form: What messages call the form.

    Raises:
        DataError: There is no such file.
    """
    files = captioned(root, rows_of)
    if not files and root.is_file():
        read_json(root, report)  # which may say why
    if not files:
        raise DataError(f"No {form} in {root}")
    base = base_of(root)
    images, home = find_images(base, options, report)
    collector = Collector(report)
    reader = RowReader(images=images, options=options, collector=collector, report=report)
    if root.is_dir():
        why = f"{files[0].name} has the captions, as {form}"
        tell_left_out(json_files(root), files, lambda path: why, report)
    for path in files:
        rows = rows_of(read_json(path, report)) or ()
        reader.read(
            RowSource(
                file=path,
                rows=_numbered(rows),
                unit="item",
                split=split_in(path.stem),
                image_column="file_name" if path.stem == "metadata" else "",
            )
        )
    return collector.reading(images=images.paths, home=home or base)


def _numbered(rows: Iterable[Any]) -> Iterator[Row]:
    for number, row in enumerate(rows, start=1):
        if isinstance(row, dict):
            yield Row(line=number, cells=row)
        else:
            yield Row(line=number, fault=f"not an object: {str(row)[:60]!r}")
