"""Pictures with their captions beside them, in `NAME.txt` or `NAME.caption`, one a line.

Folders called train, val and test at the top are splits.
"""

from __future__ import annotations

from pathlib import Path

from capgen.data.formats.image_index import PictureIndex, pictures_below
from capgen.data.formats.reading import Collector, Reading, ReadOptions
from capgen.data.problems import Report
from capgen.data.splits import split_name
from capgen.data.text_files import read_lines

_SUFFIXES = (".txt", ".caption")


def sidecar_of(picture: Path) -> Path | None:
    """Return the caption file of a picture: `a.txt`, `a.caption`, `a.jpg.txt`, …"""
    for suffix in _SUFFIXES:
        for path in (picture.with_suffix(suffix), picture.with_name(picture.name + suffix)):
            if path.is_file():
                return path
    return None


def recognise(root: Path) -> str | None:
    """Return what makes `root` look like this layout, or None."""
    if not root.is_dir():
        return None
    for picture in pictures_below(root):
        sidecar = sidecar_of(picture)
        if sidecar is not None:
            return f"{picture.name} with {sidecar.name}"
    return None


def read(root: Path, options: ReadOptions, report: Report) -> Reading:
    """Read the layout; pictures without a caption file count as strays."""
    pictures = PictureIndex(options.images or root)
    collector = Collector(report)
    for picture in pictures.paths:
        sidecar = sidecar_of(picture)
        if sidecar is None:
            continue
        image_id = pictures.image_id(picture)
        lines = list(read_lines(sidecar, report)) or [(1, "")]
        for number, text in lines:
            collector.caption(image_id, picture, text, sidecar, number)
        parts = picture.relative_to(pictures.root).parts
        split = split_name(parts[0]) if len(parts) > 1 else None
        if split:
            collector.split(image_id, split, sidecar)
    return collector.reading(pictures=pictures.paths)
