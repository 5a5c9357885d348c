"""A JSON file that maps images to their captions.

    {"1.jpg": ["a dog", "a dog runs"], "2.jpg": "a cat"}
    {"1": {"caption": "a dog", "tags": "dog, grass"}}      kohya's meta_cap.json

Names may lack their suffix if images with these names are there.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from capgen.data.formats.archived_images import archives_in
from capgen.data.formats.image_index import ImageIndex
from capgen.data.formats.json_sources import base_of, captioned, json_files, read_rows
from capgen.data.formats.reading import Reading, ReadOptions
from capgen.data.formats.rows import names_captions
from capgen.data.problems import Report
from capgen.file_types import has_image_suffix

DESCRIPTION = (
    "a JSON file, or one per split, that maps images to captions: "
    '`{"a.jpg": ["a dog", …]}`, and kohya\'s `meta_cap.json`'
)

_LOOKED_AT = 100
_IMAGE, _CAPTIONS = "image", "captions"


def files(root: Path) -> list[Path]:
    """Return the files of the layout."""
    if not json_files(root):
        return []
    base = base_of(root)
    index = ImageIndex(base)
    return captioned(root, partial(_rows, images=index, archives=bool(archives_in(base))))


def read(root: Path, options: ReadOptions, report: Report) -> Reading:
    """Read the layout."""
    rows = partial(_rows, images=ImageIndex(options.images or base_of(root)), archives=True)
    return read_rows(root, rows, options, report, form="a JSON map of images to captions")


def _rows(content: Any, images: ImageIndex, archives: bool) -> list[Any] | None:
    """Return the rows of a file's content, or None if it is no such map."""
    if not isinstance(content, Mapping) or not content:
        return None
    names = list(content)[:_LOOKED_AT]
    images_named = any(has_image_suffix(name) or images.known(name) for name in names)
    if not (images_named or archives) or not any(_captions(content[name]) for name in names):
        return None
    return [_row(name, value) for name, value in content.items()]


def _captions(value: Any) -> bool:
    if isinstance(value, Mapping):
        return names_captions(value)
    texts = value if isinstance(value, list) else [value]
    return bool(texts) and all(isinstance(text, str) for text in texts)


def _row(name: str, value: Any) -> dict[str, Any]:
    if isinstance(value, Mapping):
        return {_IMAGE: name, **{key: cell for key, cell in value.items() if key != _IMAGE}}
    return {_IMAGE: name, _CAPTIONS: value}
