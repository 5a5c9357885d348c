"""JSON and JSON Lines files of caption records."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from capgen.output.base import Write, writing_text
from capgen.paths import storage_errors
from capgen.records import NO_REVIEW, Caption, Record


@contextmanager
def open_json(path: Path, *, reviewed: bool = False) -> Iterator[Write]:
    """Write a JSON array with one record per line; the file appears when it is complete.

    If `reviewed`, every caption has a `review`, with empty text where nobody decided.
    """
    with writing_text(path) as stream:
        separator = "[\n"

        def write(record: Record, thumbnail: bytes | None) -> None:
            nonlocal separator
            stream.write(separator + _line(record, reviewed=reviewed))
            separator = ",\n"

        yield write
        stream.write("[\n]\n" if separator == "[\n" else "\n]\n")


@contextmanager
def open_jsonl(path: Path, *, reviewed: bool = False) -> Iterator[Write]:
    """Write JSON Lines, each line at once when its record comes; see `open_json`."""
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf-8", newline="\n") as stream:

            def write(record: Record, thumbnail: bytes | None) -> None:
                stream.write(_line(record, reviewed=reviewed) + "\n")
                stream.flush()

            yield write


def dump(record: Record, *, ascii_only: bool = False) -> str:
    """Return a record as one line of JSON."""
    return dump_json(record.to_dict(), ascii_only=ascii_only)


def dump_json(value: Any, *, indent: int | None = None, ascii_only: bool = False) -> str:
    """Return a value as readable JSON, with file names that are not text escaped."""
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _line(record: Record, *, reviewed: bool) -> str:
    content = record.to_dict()
    if reviewed and isinstance(record, Caption):
        content.setdefault("review", NO_REVIEW)
    return dump_json(content)
