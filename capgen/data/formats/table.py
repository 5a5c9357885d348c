"""Tables of images and captions: CSV, TSV or JSON Lines, alone or as `metadata.*`.

A `metadata.csv` or `metadata.jsonl` beside the images, at the top or in a folder per split, is
Hugging Face's imagefolder layout. An image may have one row with all its captions or one row
per caption. Images may be in archives beside the table.
"""

from __future__ import annotations

from pathlib import Path

from capgen.data.formats.archived_images import find_images
from capgen.data.formats.captioned_rows import RowReader, RowSource
from capgen.data.formats.picking import one_per_split, tell_left_out
from capgen.data.formats.reading import Collector, Reading, ReadOptions
from capgen.data.formats.rows import (
    has_captions,
    head_of_table,
    names_captions,
    names_image,
    open_table,
)
from capgen.data.problems import Report
from capgen.data.splits import split_in, split_name
from capgen.errors import DataError
from capgen.tables.rows import SUFFIXES, is_table

DESCRIPTION = (
    "a CSV, TSV or JSON Lines file, or one per split (`train.csv`, `train_captions.csv`, …); "
    "with captions or with conversations of one question, as LLaVA has them"
)
IMAGEFOLDER_DESCRIPTION = (
    "`metadata.csv` or `metadata.jsonl` beside the images, or in each split's folder"
)

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


def tables_in(folder: Path) -> list[Path]:
    """Return all tables of a folder, whatever they hold."""
    return [path for path in sorted(folder.iterdir()) if is_table(path) and path.is_file()]


def tables(root: Path) -> list[Path]:
    """Return a folder's table of captions, or one per split; none where that leaves a choice."""
    if root.is_file():
        return [root] if is_table(root) or root.suffix.lower() == ".txt" else []
    found = tables_in(root)
    if len(found) == 1:
        return found
    captioned = [path for path in found if has_captions(head_of_table(path))]
    return one_per_split(captioned or [path for path in found if split_name(path.stem)])


def read_imagefolder(root: Path, options: ReadOptions, report: Report) -> Reading:
    """Read the imagefolder layout."""
    return _read(root, metadata_files(root), options, report)


def read_table(root: Path, options: ReadOptions, report: Report) -> Reading:
    """Read a table, or one table per split."""
    files = tables(root)
    if files and root.is_dir():
        others = [path for path in tables_in(root) if not _about_something_else(path)]
        tell_left_out(others, files, lambda path: _why_not(path, files), report)
    return _read(root, files, options, report)


def _about_something_else(path: Path) -> bool:
    """Whether a table says something about images that is no caption: their classes, sizes, …"""
    head = head_of_table(path)
    return names_image(head) and not names_captions(head)


def _why_not(path: Path, files: list[Path]) -> str:
    if has_captions(head_of_table(path)):
        return f"its name is not that of a split, as in {files[0].name}"
    return f"it has no columns of images and captions, which {files[0].name} has"


def _read(root: Path, files: list[Path], options: ReadOptions, report: Report) -> Reading:
    if not files:
        names = ", ".join(path.name for path in tables_in(root)) if root.is_dir() else ""
        hint = f"Name one of its tables instead of the folder: {names}." if names else ""
        raise DataError(f"No table of captions in {root}", hint=hint)
    base = root if root.is_dir() else root.parent
    images, home = find_images(base, options, report)
    collector = Collector(report)
    reader = RowReader(images=images, options=options, collector=collector, report=report)
    for path in files:
        source = RowSource(
            file=path,
            rows=open_table(path, report).rows,
            split=_split_of(path, base),
            prefix="" if options.images else _folder_prefix(path, base),
            image_column=_PRESCRIBED if path.stem == "metadata" else "",
        )
        reader.read(source)
    return collector.reading(images=images.paths, home=home)


def _split_of(path: Path, base: Path) -> str | None:
    """Return the split that a table is for: `train_captions.csv` or `train/metadata.csv`."""
    return split_in(path.stem) if path.parent == base else split_name(path.parent.name)


def _folder_prefix(path: Path, base: Path) -> str:
    relative = path.parent.relative_to(base).as_posix()
    return "" if relative == "." else f"{relative}/"
