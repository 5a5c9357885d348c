"""Images with their captions beside them, in `NAME.txt` or `NAME.caption`, one per line.

`NAME.json` counts, too, if such a file has captions; annotations of other kinds do not. Top-level
folders called train, val and test are splits. Folders named as kohya's trainers want them
(`10_name`) say how often their images come in an epoch of training.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from capgen.data.formats.caption_files import CaptionFiles
from capgen.data.formats.image_index import ImageIndex
from capgen.data.formats.json_list import files as list_files
from capgen.data.formats.json_map import files as map_files
from capgen.data.formats.reading import Collector, Reading, ReadOptions
from capgen.data.formats.repeats import folder_repeats
from capgen.data.formats.textcaps import files as textcaps_files
from capgen.data.problems import Problem, Report
from capgen.data.splits import split_name
from capgen.errors import UsageError
from capgen.file_types import has_image_suffix, is_foreign_image
from capgen.images.folders import walk_files

DESCRIPTION = (
    "`a.jpg` with `a.txt` or `a.caption`, one caption per line, or `a.json` (`caption`, `text`); "
    "folders `train`, `val`, `test`; kohya's `10_name` folders, whose images come ten times an "
    "epoch in training"
)


def sidecar_of(image: Path, files: CaptionFiles | None = None) -> Path | None:
    """Return the caption file of an image: `a.txt`, `a.caption`, `a.jpg.txt`, …"""
    return next(_sidecars(image, files or CaptionFiles()), None)


def _sidecars(image: Path, files: CaptionFiles) -> Iterator[Path]:
    """Yield the caption files of an image, of which only the first one counts."""
    found = list(chain(files.beside(image.with_suffix("")), files.beside(image)))
    yield from (path for path in found if path.suffix.lower() != ".json")
    records = [path for path in found if path.suffix.lower() == ".json"]
    if len(records) == len(found):  # JSON beside text is about something else
        yield from records


def recognise(root: Path) -> bool:
    """Whether a folder has an image with a caption file."""
    images = (path for path in walk_files(root) if has_image_suffix(path.name))
    return any(_has_captions(sidecar) for sidecar in map(sidecar_of, images) if sidecar)


def _has_captions(sidecar: Path) -> bool:
    if sidecar.suffix.lower() != ".json":
        return True
    return CaptionFiles().read(sidecar, lambda problem: None) is not None


def _other_captions(root: Path) -> list[Path]:
    """Return the JSON files that have captions of the folder's images, too."""
    return [*textcaps_files(root), *list_files(root), *map_files(root)]


def read(root: Path, options: ReadOptions, report: Report) -> Reading:
    """Read the layout; images without a caption file count as strays.

    Captioned images in a format that capgen does not read are reported.
    """
    images = ImageIndex(options.images or root)
    files = CaptionFiles(options.caption_column)
    if files.key and not any(sidecar_of(image, files) for image in images.paths):
        raise UsageError(
            "--caption-column does not apply to this layout: no image has a .json file beside it",
            hint="Leave it out, or choose another layout with --format.",
        )
    collector = Collector(report)
    named: set[Path] = set()
    for image in images.paths:
        found = list(_sidecars(image, files))
        if not found:
            continue
        sidecar, *others = found
        named.add(sidecar)
        for other in others:
            message = f"is left out: {image.name} has its captions in {sidecar.name}"
            report(Problem(code="captions_unread", message=message, file=other))
        texts = files.read(sidecar, report)
        if texts is None:
            report(Problem(code="malformed_line", message=files.fault(sidecar), file=sidecar))
            continue
        image_id = images.image_id(image)
        for number, text in texts or [(1, "")]:
            collector.caption(image_id, image, text, sidecar, number)
        parts = image.relative_to(images.root).parts
        split = split_name(parts[0]) if len(parts) > 1 else None
        if split:
            collector.split(image_id, split, sidecar)
    for image, repeats in folder_repeats(images, report):
        collector.repeats(images.image_id(image), repeats)
    for file in _other_captions(root):
        message = "is left out: images have their captions beside them; name this file to read it"
        report(Problem(code="captions_unread", message=message, file=file))
    for file in filter(is_foreign_image, walk_files(images.root)):
        unread = sidecar_of(file, files)
        # A camera's raw file has a JPEG beside it, which has the captions.
        if unread is not None and unread not in named:
            message = f"has captions in {unread.name}, but capgen does not read {file.suffix}"
            report(Problem(code="image_not_taken", message=message, file=file))
    return collector.reading(images=images.paths)
