"""Tables of images and captions: CSV, TSV or JSON Lines, alone or as `metadata.*`.

A `metadata.csv` or `metadata.jsonl` beside the images, at the top or in a folder per split, is
Hugging Face's imagefolder layout. An image may have one row with all its captions or one row
per caption.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from capgen.data.formats.image_index import ImageIndex
from capgen.data.formats.reading import Collector, Reading, ReadOptions
from capgen.data.formats.rows import find_columns, open_table
from capgen.data.problems import Problem, Report
from capgen.data.splits import split_name
from capgen.errors import DataError
from capgen.tables.columns import Columns
from capgen.tables.rows import SUFFIXES, Row, is_table

# The column that imagefolder prescribes, whatever other columns there are.
_PRESCRIBED = "file_name"


def metadata_files(root: Path) -> list[Path]:
    """Return the `metadata.*` files of the imagefolder layout."""
    if not root.is_dir():
        return []
    names = [f"metadata{suffix}" for suffix in SUFFIXES]
    here = [root / name for name in names if (root / name).is_file()]
    below = [p for name in names for p in sorted(root.glob(f"*/{name}")) if p.is_file()]
    return here or below


def tables(root: Path) -> list[Path]:
    """Return a folder's only table, or its tables per split (`train.csv`, `val.csv`)."""
    if root.is_file():
        return [root] if is_table(root) or root.suffix.lower() == ".txt" else []
    found = [path for path in sorted(root.iterdir()) if is_table(path) and path.is_file()]
    by_split = [path for path in found if split_name(path.stem)]
    return by_split or (found if len(found) == 1 else [])


def read_imagefolder(root: Path, options: ReadOptions, report: Report) -> Reading:
    """Read the imagefolder layout."""
    return _read(root, metadata_files(root), options, report)


def read_table(root: Path, options: ReadOptions, report: Report) -> Reading:
    """Read a table, or one table per split."""
    files = tables(root)
    for path in sorted(root.iterdir()) if files and root.is_dir() else ():
        if is_table(path) and path.is_file() and path not in files:
            message = f"is left out: its name is not that of a split, as in {files[0].name}"
            report(Problem(code="captions_unread", message=message, file=path))
    return _read(root, files, options, report)


def _read(root: Path, files: list[Path], options: ReadOptions, report: Report) -> Reading:
    if not files:
        raise DataError(
            f"No table of captions in {root}", hint="If it has several, name one of them."
        )
    base = root if root.is_dir() else root.parent
    images = ImageIndex(options.images or base)
    collector = Collector(report)
    for path in files:
        _read_file(path, base, images, options, collector, report)
    return collector.reading(images=images.paths)


def _read_file(
    path: Path,
    base: Path,
    images: ImageIndex,
    options: ReadOptions,
    collector: Collector,
    report: Report,
) -> None:
    columns: Columns | None = None
    file_split = _split_of(path, base)
    prefix = "" if options.images else _folder_prefix(path, base)
    for row in open_table(path, report).rows:
        columns = columns or _columns(path, row, options)
        name, texts = row.cells.get(columns.image), columns.texts(row)
        if not isinstance(name, str) or not name.strip() or texts is None:
            message = f"no image in {columns.image!r} or no text in {columns.captions[0]!r}"
            report(Problem(code="malformed_line", message=message, file=path, line=row.line))
            continue
        image = images.find(prefix + name.strip())
        image_id = images.image_id(image)
        for text in texts:
            collector.caption(image_id, image, text, path, row.line)
        split = _row_split(row, columns) or file_split or _split_in(name)
        if split:
            collector.split(image_id, split, path, row.line)


def _columns(path: Path, row: Row, options: ReadOptions) -> Columns:
    layout = path.stem == "metadata" and _PRESCRIBED in row.cells
    if layout and options.image_column is None:
        options = replace(options, image_column=_PRESCRIBED)
    return find_columns(f"{path}:{row.line}", row.cells, options)


def _row_split(row: Row, columns: Columns) -> str | None:
    cell = row.cells.get(columns.split) if columns.split else None
    return None if cell is None else str(cell)


def _split_of(path: Path, base: Path) -> str | None:
    """Return the split that a table is for: `train.csv` or `train/metadata.csv`."""
    return split_name(path.stem if path.parent == base else path.parent.name)


def _split_in(name: str) -> str | None:
    """Return the split that the first folder of an image's name stands for."""
    first, slash, _ = name.replace("\\", "/").partition("/")
    return split_name(first) if slash and first else None


def _folder_prefix(path: Path, base: Path) -> str:
    relative = path.parent.relative_to(base).as_posix()
    return "" if relative == "." else f"{relative}/"
