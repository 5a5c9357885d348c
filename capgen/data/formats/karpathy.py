"""Karpathy JSON: `images` with `filename`, `split` and `sentences` (Karpathy, Fei-Fei 2015)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from capgen.data.formats.image_index import ImageIndex
from capgen.data.formats.reading import Collector, Reading, ReadOptions
from capgen.data.problems import Problem, Report
from capgen.data.text_files import read_bytes, read_json
from capgen.errors import DataError

DESCRIPTION = "`dataset_*.json` with `filename`, `split`, `sentences`"

_FOLDERS = ("", "karpathy", "annotations", "caption_datasets")


def karpathy_file(root: Path) -> Path | None:
    """Return the file of the layout: `root` itself or one in the usual folders."""
    if root.is_file():
        return root if root.suffix.lower() == ".json" and _is_karpathy(root) else None
    paths = (path for folder in _FOLDERS for path in sorted((root / folder).glob("*.json")))
    return next(filter(_is_karpathy, paths), None)


def read(root: Path, options: ReadOptions, report: Report) -> Reading:
    """Read the layout."""
    path = karpathy_file(root)
    if path is None:
        raise DataError(f"No Karpathy JSON in {root}")
    content = read_json(path, report)
    items = content.get("images") if isinstance(content, dict) else None
    if not isinstance(items, list):
        raise DataError(f"{path}: expected an object with a list in 'images'")
    images = ImageIndex(options.images or (root.parent if root.is_file() else root))
    collector = Collector(report)
    for number, item in enumerate(items):
        texts = _sentences(item)
        if texts is None:
            message = f"images[{number}] lacks filename, split or sentences with raw text"
            report(Problem(code="malformed_line", message=message, file=path))
            continue
        folder = f"{item['filepath']}/" if item.get("filepath") else ""
        image = images.find(f"{folder}{item['filename']}")
        image_id = images.image_id(image)
        for text in texts:
            collector.caption(image_id, image, text, path)
        collector.split(image_id, item["split"], path)
    return collector.reading(images=images.paths)


def _sentences(item: Any) -> list[str] | None:
    if not isinstance(item, dict):
        return None
    texts = item.get("sentences")
    named = isinstance(item.get("filename"), str) and isinstance(item.get("split"), str)
    if not named or not isinstance(texts, list):
        return None
    raw = [text.get("raw") if isinstance(text, dict) else None for text in texts]
    return raw if all(isinstance(text, str) for text in raw) else None  # type: ignore[return-value]


def _is_karpathy(path: Path) -> bool:
    data = read_bytes(path)
    return all(key in data for key in (b'"images"', b'"sentences"', b'"raw"', b'"filename"'))
