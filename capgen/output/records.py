"""Writers of caption records: a JSON array, or JSON Lines."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from capgen.errors import UsageError
from capgen.paths import writing
from capgen.records import Caption, CaptionFailure

SUFFIXES = (".json", ".jsonl")


def check_output(path: Path) -> None:
    """Check that records can be written under this name, before any work is done.

    Raises:
        UsageError: The suffix names no known format.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(
            f"-o {path}: records are written as {' or '.join(SUFFIXES)}, not '{path.suffix}'"
        )


def write_records(path: Path, records: Iterable[Caption | CaptionFailure]) -> None:
    """Write records to a file, which appears only when it is complete.

    Raises:
        UsageError: The suffix names no known format.
        StorageError: The file cannot be written.
    """
    check_output(path)
    separators = ("[\n", ",\n", "\n]\n") if path.suffix.lower() == ".json" else ("", "\n", "\n")
    opening, between, closing = separators
    with writing(path) as temporary, temporary.open("w", encoding="utf-8") as stream:
        stream.write(opening)
        for number, record in enumerate(records):
            stream.write((between if number else "") + dump(record))
        stream.write(closing)


def dump(record: Caption | CaptionFailure) -> str:
    """Return a record as one line of JSON; file names that are no text come out escaped."""
    text = json.dumps(record.to_dict(), ensure_ascii=False)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
