"""A JSON file with a list of objects, each an image with its captions.

    [{"image": "train2014/1.jpg", "caption": "a dog"}, …]      BLIP, ALBEF, LAVIS
    [{"image_id": "1.jpg", "caption": ["狗跑", …]}, …]          AI Challenger
    [{"image": "1.jpg", "conversations": [{"from": …}, …]}, …]  LLaVA
    [{"file_name": "1.jpg", "text": "a dog"}, …]               metadata.json

The list may be the only one of objects in an object (`{"data": [...]}`). The columns are found
as in tables.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from capgen.data.formats.json_sources import captioned, read_rows
from capgen.data.formats.reading import Reading, ReadOptions
from capgen.data.formats.rows import has_captions
from capgen.data.problems import Report

DESCRIPTION = (
    "a JSON file, or one per split, with a list of objects with an image and its captions: BLIP "
    "and LAVIS (`coco_karpathy_train.json`), AI Challenger, LLaVA's conversations of one "
    "question, `metadata.json`"
)

_LOOKED_AT = 20


def files(root: Path) -> list[Path]:
    """Return the files of the layout."""
    return captioned(root, _rows)


def read(root: Path, options: ReadOptions, report: Report) -> Reading:
    """Read the layout."""
    return read_rows(root, _rows, options, report, form="a JSON list of images and captions")


def _rows(content: Any) -> list[Any] | None:
    if isinstance(content, dict):
        lists = [value for value in content.values() if _is_list_of_objects(value)]
        content = lists[0] if len(lists) == 1 else None
    if not _is_list_of_objects(content):
        return None
    first = [row for row in content[:_LOOKED_AT] if isinstance(row, dict)]
    # TextCaps gives each caption of an image all the others, too.
    other = any("reference_strs" in row for row in first)
    return content if any(map(has_captions, first)) and not other else None


def _is_list_of_objects(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(row, dict) for row in value[:_LOOKED_AT])
