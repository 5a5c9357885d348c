"""WebDataset shards: tar files in which the files of a sample share a name up to the first dot.

A sample has an image and its captions as `.txt`, `.caption` (one per line) or `.json` (under
`caption`, `captions`, `text` or `texts`, or the key that the caller names). Shards or folders
named after a split belong to it. Images and captions are extracted into the cache folder once,
with a list of the members that were skipped.
"""

from __future__ import annotations

import json
import logging
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from capgen.data.cache.folders import SHARDS
from capgen.data.download.unpack import Member, opened
from capgen.data.formats.image_index import ImageIndex
from capgen.data.formats.reading import Collector, Reading, ReadOptions
from capgen.data.problems import Problem, Report
from capgen.data.splits import split_name
from capgen.data.staging import staged
from capgen.data.text_files import read_lines
from capgen.errors import DataError
from capgen.file_types import has_image_suffix, is_foreign_image
from capgen.images.folders import is_seen_member, is_shard
from capgen.images.tar_archives import BLOCK_BYTES
from capgen.paths import create, storage_errors

logger = logging.getLogger(__name__)

_CAPTIONS = (".txt", ".caption", ".json")
_KEYS = ("caption", "captions", "text", "texts")
_SPLIT_IN_NAME = re.compile(r"[A-Za-z]+")
_DONE = ".complete"
# To be changed with the rules for what is extracted, which makes older folders useless.
_RULES = "2"


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
    folder = _extracted(found)
    for number, message, code in json.loads((folder / _DONE).read_bytes()):
        report(Problem(code=code, message=message, file=found[number]))
    images = ImageIndex(folder)
    for image in images.paths:
        image_id = images.image_id(image)
        shard = found[int(image.relative_to(folder).parts[0])]
        stem = image.parent / image.name.split(".", 1)[0]  # up to the first dot, not the last
        texts = _captions(stem, shard, options.caption_column, report)
        for text in texts:
            collector.caption(image_id, image, text, shard)
        split = _split_of(shard)
        if split and texts:
            collector.split(image_id, split, shard)
    return collector.reading(images=images.paths, home=folder)


def _extracted(found: list[Path]) -> Path:
    """Return a folder with the content of each shard in a numbered subfolder."""
    marks = [f"{path.resolve()}:{path.stat().st_size}:{path.stat().st_mtime_ns}" for path in found]
    folder = SHARDS.entry(_RULES, *marks)
    known = (folder / _DONE).exists()
    logger.debug("%s %s: %d shards unpacked", "found" if known else "making", folder, len(found))
    if known:
        return folder
    skipped: list[tuple[int, str, str]] = []
    with storage_errors(folder), staged(folder, "unpacking") as temporary:
        for index, path in enumerate(found):
            skipped += [(index, *item) for item in _extract(path, temporary / str(index))]
        (temporary / _DONE).write_text(json.dumps(skipped), encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
    return folder


def _extract(path: Path, into: Path) -> list[tuple[str, str]]:
    """Extract a shard's images and captions; return (message, code) per skipped member."""
    into.mkdir(parents=True)
    refused: list[Member] = []
    skipped: list[tuple[str, str]] = []
    mode = path.stat().st_mode
    with opened(path, on_refused=refused.append) as members:
        for member in members:
            if not is_seen_member(str(member.target)):
                continue
            if is_foreign_image(member.target):
                message = f"its member {member.name!r} is an image that capgen does not read"
                skipped.append((message, "image_not_taken"))
            if has_image_suffix(member.target.name) or member.target.suffix in _CAPTIONS:
                target = into / member.target
                target.parent.mkdir(parents=True, exist_ok=True)
                with member.open() as source, create(target, mode) as file:
                    shutil.copyfileobj(source, file, BLOCK_BYTES)
    return skipped + [(f"its member {m.name!r} {m.fault}", "member_refused") for m in refused]


def _captions(stem: Path, shard: Path, key: str | None, report: Report) -> list[str]:
    keys = (key,) if key else _KEYS
    for suffix in (".json",) if key else _CAPTIONS:
        path = stem.with_name(stem.name + suffix)
        if not path.is_file():
            continue
        if suffix != ".json":
            return [text for _, text in read_lines(path, report)]
        texts = _texts(path, keys)
        if texts is not None:
            return texts
        message = f"{path.name} has no text under {', '.join(keys)}"
        report(Problem(code="malformed_line", message=message, file=shard))
    return []


def _texts(path: Path, keys: Iterable[str]) -> list[str] | None:
    try:
        record: Any = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return None
    for key in keys:
        value = record.get(key) if isinstance(record, dict) else None
        if isinstance(value, str):
            return [value]
        if isinstance(value, list) and all(isinstance(text, str) for text in value):
            return value
    return None


def _split_of(shard: Path) -> str | None:
    found = _SPLIT_IN_NAME.match(shard.name)
    return (split_name(found[0]) if found else None) or (split_name(shard.parent.name))
