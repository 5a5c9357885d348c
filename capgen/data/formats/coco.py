"""COCO captions JSON (Chen et al. 2015): `images` and `annotations`, one file per split.

A Karpathy file (`dataset_coco.json`) beside them decides the splits; otherwise the files'
names do (`captions_train2014.json` → train).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from capgen.data.formats.image_index import ImageIndex
from capgen.data.formats.reading import Collector, Reading, ReadOptions
from capgen.data.problems import Problem, Report
from capgen.data.splits import split_name
from capgen.data.text_files import read_bytes, read_json
from capgen.errors import DataError

_FOLDERS = ("", "annotations")
_SPLIT_IN_NAME = re.compile(r"(train|val|test|dev|valid|validation)(?:\d{4})?(?:[_.-]|$)")
_KARPATHY = "dataset_coco.json"


def caption_files(root: Path) -> list[Path]:
    """Return the annotation files of the layout: `captions*.json`, or `root` itself."""
    if root.is_file():
        return [root] if root.suffix == ".json" and _is_coco(root) else []
    for pattern in ("captions*.json", "*.json"):
        files = [path for folder in _FOLDERS for path in sorted((root / folder).glob(pattern))]
        if files:
            break
    return [path for path in files if _is_coco(path)]


def read(root: Path, options: ReadOptions, report: Report) -> Reading:
    """Read the layout."""
    files = caption_files(root)
    if not files:
        raise DataError(f"No COCO captions JSON in {root}")
    base = root.parent if root.is_file() else root
    if base.name == "annotations" and options.images is None:
        base = base.parent
    images = ImageIndex(options.images or base)
    collector = Collector(report)
    karpathy = None if root.is_file() else _karpathy_file(root)
    for path in files:
        _read_file(path, images, collector, report, assign=karpathy is None)
    if karpathy is not None:
        for item in _items(read_json(karpathy, report), "images", karpathy):
            image_id = images.image_id(images.find(str(item.get("filename", ""))))
            collector.split(image_id, str(item.get("split", "")), karpathy)
    return collector.reading(images=images.paths, home=base)


def _read_file(
    path: Path, images: ImageIndex, collector: Collector, report: Report, *, assign: bool
) -> None:
    content = read_json(path, report)
    found = _SPLIT_IN_NAME.search(path.stem)
    split = split_name(found[1]) if found else None
    known_by_id: dict[Any, tuple[str, Path]] = {}
    for item in _items(content, "images", path):
        if "id" not in item or not isinstance(item.get("file_name"), str):
            message = f"an entry of `images` lacks id or file_name: {item}"
            report(Problem(code="malformed_line", message=message[:200], file=path))
            continue
        image = images.find(item["file_name"])
        known_by_id[item["id"]] = (images.image_id(image), image)
    for item in _items(content, "annotations", path):
        known = known_by_id.get(item.get("image_id"))
        if known is None or not isinstance(item.get("caption"), str):
            message = f"annotation {item.get('id')} has no caption or no entry in `images`"
            report(Problem(code="malformed_line", message=message, file=path))
            continue
        collector.caption(*known, item["caption"], path)
        if assign and split is not None:
            collector.split(known[0], split, path)


def _items(content: Any, key: str, path: Path) -> Iterator[dict[str, Any]]:
    items = content.get(key) if isinstance(content, dict) else None
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise DataError(f"{path}: expected an object with a list of objects in {key!r}")
    return iter(items)


def _is_coco(path: Path) -> bool:
    """Return whether the keys of COCO captions occur, without parsing hundreds of megabytes."""
    data = read_bytes(path)
    return all(key in data for key in (b'"images"', b'"annotations"', b'"caption"', b'"image_id"'))


def _karpathy_file(root: Path) -> Path | None:
    folders = (*_FOLDERS, "karpathy", "caption_datasets")
    return next(filter(Path.is_file, (root / folder / _KARPATHY for folder in folders)), None)
