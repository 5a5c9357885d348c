"""TextCaps (Sidorov et al. 2020): `data`, an entry per caption, with all of its image's captions.

    {"data": [{"image_id": "0a1", "caption_str": "a sign", "reference_strs": ["a sign", …],
               "set_name": "train", …}, …]}

Each image's `reference_strs` are read once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from capgen.data.formats.json_sources import captioned, read_rows
from capgen.data.formats.reading import Reading, ReadOptions
from capgen.data.problems import Report

DESCRIPTION = "`TextCaps_0.1_train.json` and its like, beside folders of images"


def files(root: Path) -> list[Path]:
    """Return the files of the layout."""
    return captioned(root, _rows)


def read(root: Path, options: ReadOptions, report: Report) -> Reading:
    """Read the layout."""
    return read_rows(root, _rows, options, report, form="a JSON file of TextCaps")


def _rows(content: Any) -> list[Any] | None:
    data = content.get("data") if isinstance(content, dict) else None
    if not isinstance(data, list) or not any(_is_entry(entry) for entry in data[:20]):
        return None
    rows: dict[str, Any] = {}
    for number, entry in enumerate(data):
        if not isinstance(entry, dict) or "image_id" not in entry:
            rows[f"{number}"] = entry
            continue
        row = {"image_id": entry["image_id"], "captions": entry.get("reference_strs")}
        if "set_name" in entry:
            row["split"] = entry["set_name"]
        rows.setdefault(f"image {entry['image_id']}", row)
    return list(rows.values())


def _is_entry(entry: Any) -> bool:
    return isinstance(entry, dict) and "image_id" in entry and "reference_strs" in entry
