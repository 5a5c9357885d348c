"""Writers of caption records: a JSON array, or JSON Lines."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from capgen.errors import StorageError, UsageError
from capgen.paths import storage_errors, writing
from capgen.records import Caption, CaptionFailure

SUFFIXES = (".json", ".jsonl")


def check_output(path: Path) -> None:
    """Check that records can be written under this name, before any work is done.

    Raises:
        UsageError: The suffix names no known format.
        StorageError: There is a folder of that name, or the name is impossible.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(
            f"-o {path}: records are written as {' or '.join(SUFFIXES)}, not '{path.suffix}'"
        )
    with storage_errors(path):
        if path.is_dir():
            raise StorageError(f"Cannot write {path}: it is a folder")


def write_records(path: Path, records: Iterable[Caption | CaptionFailure]) -> None:
    """Write records to a file, which appears only when it is complete.

    Raises:
        UsageError: The suffix names no known format.
        StorageError: The file cannot be written.
    """
    check_output(path)
    as_lines = path.suffix.lower() == ".jsonl"
    with (
        writing(path) as temporary,
        temporary.open("w", encoding="utf-8", newline="\n") as stream,
    ):
        stream.write("" if as_lines else "[")
        for number, record in enumerate(records):
            separator = "" if as_lines else ",\n" if number else "\n"
            stream.write(separator + dump(record) + ("\n" if as_lines else ""))
        stream.write("" if as_lines else "\n]\n")


def dump(record: Caption | CaptionFailure) -> str:
    """Return a record as one line of JSON."""
    return dump_json(record.to_dict())


def dump_json(value: Any, *, indent: int | None = None) -> str:
    """Return a value as readable JSON; file names that are no text come out escaped."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
