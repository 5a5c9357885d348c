"""JSON and JSON Lines files of caption records."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from capgen.output.base import Write
from capgen.paths import storage_errors, writing
from capgen.records import Record


@contextmanager
def open_json(path: Path) -> Iterator[Write]:
    """Write one JSON array, a record a line; the file appears when it is complete."""
    with (
        writing(path) as temporary,
        temporary.open("w", encoding="utf-8", newline="\n") as stream,
    ):
        separator = "[\n"

        def write(record: Record, thumbnail: bytes | None) -> None:
            nonlocal separator
            stream.write(separator + dump(record))
            separator = ",\n"

        yield write
        stream.write("[\n]\n" if separator == "[\n" else "\n]\n")


@contextmanager
def open_jsonl(path: Path) -> Iterator[Write]:
    """Write JSON Lines as the records come: whole lines only, each visible at once."""
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf-8", newline="\n") as stream:

            def write(record: Record, thumbnail: bytes | None) -> None:
                stream.write(dump(record) + "\n")
                stream.flush()

            yield write


def dump(record: Record, *, ascii_only: bool = False) -> str:
    """Return a record as one line of JSON."""
    return dump_json(record.to_dict(), ascii_only=ascii_only)


def dump_json(value: Any, *, indent: int | None = None, ascii_only: bool = False) -> str:
    """Return a value as readable JSON; file names that are no text come out escaped.

    Args:
        value: Built-in types.
        indent: Spaces of each level; None is one line.
        ascii_only: Escape all that is not ASCII.
    """
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
