"""WebDataset shards: tar files in which the files of a sample share a name up to the first dot.

A sample has an image and its captions as `.txt`, `.caption` (one per line) or `.json` (under
`caption`, `captions`, `text` or `texts`, or the key that the caller names). Shards or folders
named after a split belong to it. Images and captions are extracted into the cache folder once,
with a list of the members that were skipped.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from capgen.cache_folders import SHARDS
from capgen.data.formats.caption_files import SUFFIXES, CaptionFiles
from capgen.data.formats.extraction import extracted
from capgen.data.formats.image_index import ImageIndex
from capgen.data.formats.reading import Collector, Reading, ReadOptions
from capgen.data.problems import Problem, Report
from capgen.data.splits import split_name
from capgen.errors import DataError
from capgen.file_types import has_image_suffix
from capgen.images.folders import is_shard

DESCRIPTION = "`.tar`, `.tar.gz` or `.tgz` shards; splits by the shards' names"

_SPLIT_IN_NAME = re.compile(r"[A-Za-z]+")


def shards(root: Path) -> list[Path]:
    """Return the shards at `root`, or one folder below."""
    if root.is_file():
        return [root] if is_shard(root) else []
    return sorted(filter(is_shard, root.glob("*"))) or sorted(filter(is_shard, root.glob("*/*")))


def recognise(root: Path) -> bool:
    """Whether `root` is a shard or has some."""
    found = shards(root)
    # A compressed archive beside images is more likely a copy of them.
    return any(path == root or path.suffix == ".tar" for path in found) or (
        bool(found) and not any(has_image_suffix(path.name) for path in root.iterdir())
    )


def read(root: Path, options: ReadOptions, report: Report) -> Reading:
    """Read all shards."""
    found = shards(root)
    if not found:
        raise DataError(f"No .tar shards in {root}")
    collector = Collector(report)
    places = {path: str(number) for number, path in enumerate(found)}
    folder = extracted(SHARDS, places, _wanted, report)
    images = ImageIndex(folder)
    files = CaptionFiles(options.caption_column)
    for image in images.paths:
        image_id = images.image_id(image)
        shard = found[int(image.relative_to(folder).parts[0])]
        stem = image.parent / image.name.split(".", 1)[0]  # up to the first dot, not the last
        texts = _captions(files, stem, shard, report)
        for text in texts:
            collector.caption(image_id, image, text, shard)
        split = _split_of(shard)
        if split and texts:
            collector.split(image_id, split, shard)
    return collector.reading(images=images.paths, home=folder)


def _wanted(member: PurePosixPath) -> bool:
    return has_image_suffix(member.name) or member.suffix.lower() in SUFFIXES


def _captions(files: CaptionFiles, stem: Path, shard: Path, report: Report) -> list[str]:
    for path in files.beside(stem):
        texts = files.read(path, report)
        if texts is not None:
            return [text for _, text in texts]
        report(Problem(code="malformed_line", message=files.fault(path), file=shard))
    return []


def _split_of(shard: Path) -> str | None:
    found = _SPLIT_IN_NAME.match(shard.name)
    return (split_name(found[0]) if found else None) or (split_name(shard.parent.name))
