"""COCO captions JSON (Chen et al. 2015): `images` and `annotations`, one file per split.

A Karpathy file (`dataset_coco.json`) beside them decides the splits; otherwise the files'
names do (`captions_train2014.json` → train). Ids may be numbers in one list and text in the
other. Captions that the file marks as rejected (`is_rejected` of VizWiz-Captions, Gurari et
al. 2020) are left out and reported.
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

DESCRIPTION = (
    "`captions_*.json`, alone or in `annotations/`; splits by file name or `dataset_coco.json`"
)

_FOLDERS = ("", "annotations")
_SPLIT_IN_NAME = re.compile(r"(train|val|test|dev|valid|validation)(?:\d{4})?(?:[_.-]|$)")
_KARPATHY = "dataset_coco.json"


def caption_files(root: Path) -> list[Path]:
    """Return the annotation files of the layout: `captions*.json`, or `root` itself."""
    if root.is_file():
        return [root] if root.suffix.lower() == ".json" and _is_coco(root) else []
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
    known_by_id = _images_by_id(content, path, images, report)
    for item in _items(content, "annotations", path):
        key = _id(item.get("image_id"))
        if key not in known_by_id or not isinstance(item.get("caption"), str):
            message = f"annotation {item.get('id')} has no caption or no entry in `images`"
            report(Problem(code="malformed_line", message=message[:200], file=path))
            continue
        known = known_by_id[key]
        if known is None:  # reported already
            continue
        if item.get("is_rejected") is True:
            message = f"annotation {item.get('id')} of {known[0]} is marked as rejected"
            report(Problem(code="caption_rejected", message=message, file=path, image_id=known[0]))
            continue
        collector.caption(*known, item["caption"], path)
        if assign and split is not None:
            collector.split(known[0], split, path)


def _images_by_id(
    content: Any, path: Path, images: ImageIndex, report: Report
) -> dict[str | None, tuple[str, Path] | None]:
    """Return image id → its name and where it is; None for an id that several images have."""
    found: dict[str | None, tuple[str, Path] | None] = {}
    for item in _items(content, "images", path):
        key = _id(item.get("id"))
        if key is None or not isinstance(item.get("file_name"), str):
            message = f"an entry of `images` lacks id or file_name: {item}"
            report(Problem(code="malformed_line", message=message[:200], file=path))
            continue
        image = images.find(item["file_name"])
        known = (images.image_id(image), image)
        former = found.setdefault(key, known)
        if former is not None and former != known:
            message = f"the id {key} is that of both {former[0]} and {known[0]}"
            report(Problem(code="image_id_repeated", message=message, file=path))
            found[key] = None
    return found


def _id(value: Any) -> str | None:
    """Return an id as text, or None if it is neither a number nor text."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # pandas makes floats of a column that has gaps
    known = isinstance(value, str | int | float) and not isinstance(value, bool)
    return str(value).strip() if known else None


def _items(content: Any, key: str, path: Path) -> Iterator[dict[str, Any]]:
    items = content.get(key) if isinstance(content, dict) else None
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise DataError(f"{path}: expected an object with a list of objects in {key!r}")
    return iter(items)


def _is_coco(path: Path) -> bool:
    """Return whether the keys of COCO captions occur, without parsing hundreds of megabytes."""
    data = read_bytes(path)
    keys = (b'"images"', b'"annotations"', b'"caption"', b'"image_id"')
    # LAVIS's references for scoring, `coco_karpathy_val_gt.json`, have images without names.
    scoring = path.stem.endswith("_gt") and b'"file_name"' not in data
    return not scoring and all(key in data for key in keys)


def _karpathy_file(root: Path) -> Path | None:
    folders = (*_FOLDERS, "karpathy", "caption_datasets")
    return next(filter(Path.is_file, (root / folder / _KARPATHY for folder in folders)), None)
