"""Images with their captions beside them, in `NAME.txt` or `NAME.caption`, one per line.

Top-level folders called train, val and test are splits.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from capgen.data.formats.image_index import ImageIndex
from capgen.data.formats.reading import Collector, Reading, ReadOptions
from capgen.data.problems import Problem, Report
from capgen.data.splits import split_name
from capgen.data.text_files import read_lines
from capgen.file_types import has_image_suffix, is_foreign_image
from capgen.images.folders import walk_files

_SUFFIXES = (".txt", ".caption")


def sidecar_of(image: Path) -> Path | None:
    """Return the caption file of an image: `a.txt`, `a.caption`, `a.jpg.txt`, …"""
    return next(_sidecars(image), None)


def _sidecars(image: Path) -> Iterator[Path]:
    """Yield the caption files of an image, of which only the first one counts."""
    places = ((image.with_suffix(s), image.with_name(image.name + s)) for s in _SUFFIXES)
    return filter(Path.is_file, chain.from_iterable(places))


def recognise(root: Path) -> bool:
    """Whether a folder has an image with a caption file."""
    images = (path for path in walk_files(root) if has_image_suffix(path.name))
    return any(sidecar_of(image) for image in images)


def read(root: Path, options: ReadOptions, report: Report) -> Reading:
    """Read the layout; images without a caption file count as strays.

    Captioned images in a format that capgen does not read are reported.
    """
    images = ImageIndex(options.images or root)
    collector = Collector(report)
    named: set[Path] = set()
    for image in images.paths:
        found = list(_sidecars(image))
        if not found:
            continue
        sidecar, *others = found
        named.add(sidecar)
        image_id = images.image_id(image)
        for other in others:
            message = f"is left out: {image.name} has its captions in {sidecar.name}"
            report(Problem(code="captions_unread", message=message, file=other))
        lines = list(read_lines(sidecar, report)) or [(1, "")]
        for number, text in lines:
            collector.caption(image_id, image, text, sidecar, number)
        parts = image.relative_to(images.root).parts
        split = split_name(parts[0]) if len(parts) > 1 else None
        if split:
            collector.split(image_id, split, sidecar)
    for file in filter(is_foreign_image, walk_files(images.root)):
        unread = sidecar_of(file)
        # A camera's raw file has a JPEG beside it, which has the captions.
        if unread is not None and unread not in named:
            message = f"has captions in {unread.name}, but capgen does not read {file.suffix}"
            report(Problem(code="image_not_taken", message=message, file=file))
    return collector.reading(images=images.paths)
