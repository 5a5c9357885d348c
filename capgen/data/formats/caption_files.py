"""Caption files beside an image: `NAME.txt` or `NAME.caption`, a caption per line, or `NAME.json`.

JSON has the captions under `caption`, `captions`, `text` or `texts`, or a key that the caller
names. Suffixes may be in upper case, as cameras write those of images.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capgen.data.problems import Report
from capgen.data.text_files import read_lines

SUFFIXES = (".txt", ".caption", ".json")

_KEYS = ("caption", "captions", "text", "texts")


@dataclass(frozen=True)
class CaptionFiles:
    """The caption files of images.

    Attributes:
        key: The key of captions in JSON, which are then the only ones that count.
    """

    key: str | None = None

    def beside(self, stem: Path) -> Iterator[Path]:
        """Yield the files that have a path plus a suffix of caption files."""
        for suffix in SUFFIXES if self.key is None else SUFFIXES[-1:]:
            lower, upper = (stem.with_name(stem.name + s) for s in (suffix, suffix.upper()))
            if lower.is_file():
                yield lower
            elif upper.is_file():
                yield upper

    def read(self, path: Path, report: Report) -> list[tuple[int | None, str]] | None:
        """Return line and text of each caption in a file, or None if its JSON has none."""
        if path.suffix.lower() != ".json":
            return [(number, text) for number, text in read_lines(path, report)]
        record = _record(path)
        for key in self._keys:
            value = record.get(key) if record is not None else None
            if isinstance(value, str):
                return [(None, value)]
            if isinstance(value, list) and all(isinstance(text, str) for text in value):
                return [(None, text) for text in value]
        return None

    def fault(self, path: Path) -> str:
        """Return what is wrong with a JSON file that has no captions."""
        message = f"{path.name} has no text under {', '.join(self._keys)}"
        record = _record(path)
        texts = [key for key, value in (record or {}).items() if isinstance(value, str)]
        if texts and self.key is None:
            message += f"; it has {', '.join(texts[:5])} (--caption-column names one)"
        return message

    @property
    def _keys(self) -> tuple[str, ...]:
        return (self.key,) if self.key else _KEYS


def _record(path: Path) -> dict[str, Any] | None:
    try:
        record = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None
