"""ROCO (Pelka et al. 2018): radiology images and captions from articles, a folder per split.

    train/radiology/traindata.csv    id,name,caption
    train/radiology/captions.txt     ROCO_00001<TAB>caption
    train/radiology/images/

The table is read where there is one, else the text. `non-radiology` is left out, and said.
(ROCOv2 has one table per split and is read as such.)
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from capgen.data.formats.archived_images import find_images
from capgen.data.formats.captioned_rows import RowReader, RowSource
from capgen.data.formats.reading import Collector, Reading, ReadOptions
from capgen.data.formats.rows import open_table
from capgen.data.problems import Problem, Report
from capgen.data.splits import split_name
from capgen.data.text_files import read_lines
from capgen.errors import DataError
from capgen.tables.rows import Row

DESCRIPTION = (
    "ROCO: `radiology/` with `captions.txt` or `traindata.csv`, alone or in each split's folder"
)

_FOLDER, _OTHER, _TEXT = "radiology", "non-radiology", "captions.txt"
_PLACES = ("", "*/", "*/*/")


def caption_files(root: Path) -> list[Path]:
    """Return the caption file of each folder called `radiology`."""
    if not root.is_dir():
        return []
    folders = [root] if root.name == _FOLDER else []
    folders += [path for place in _PLACES for path in sorted(root.glob(place + _FOLDER))]
    return [path for path in map(_caption_file, folders) if path is not None]


def _caption_file(folder: Path) -> Path | None:
    found = [*sorted(folder.glob("*data.csv")), folder / _TEXT]
    return next(filter(Path.is_file, found), None)


def read(root: Path, options: ReadOptions, report: Report) -> Reading:
    """Read the layout."""
    files = caption_files(root)
    if not files:
        raise DataError(f"No {_FOLDER}/ with {_TEXT} or a table in {root}")
    images, home = find_images(root, options, report)
    collector = Collector(report)
    reader = RowReader(images=images, options=options, collector=collector, report=report)
    for path in files:
        left = path.parent.parent / _OTHER
        if left.is_dir() and path.parent.name == _FOLDER:
            message = f"is left out: {_FOLDER} is read; name this folder to read it alone"
            report(Problem(code="captions_unread", message=message, file=left))
        is_table = path.suffix == ".csv"
        rows = open_table(path, report).rows if is_table else _lines(path, report)
        split = split_name(path.parent.parent.name)
        prefix = "" if options.images else f"{_relative(path.parent, root)}images/"
        reader.read(RowSource(file=path, rows=rows, split=split, prefix=prefix))
    return collector.reading(images=images.paths, home=home)


def _relative(folder: Path, root: Path) -> str:
    relative = folder.relative_to(root).as_posix()
    return "" if relative == "." else f"{relative}/"


def _lines(path: Path, report: Report) -> Iterator[Row]:
    for number, line in read_lines(path, report):
        name, tab, text = line.partition("\t")
        if tab:
            yield Row(line=number, cells={"id": name.strip(), "caption": text.strip()})
        else:
            yield Row(line=number, fault=f"expected an id, a tab and a caption, not {line[:60]!r}")
