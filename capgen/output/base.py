"""The file formats of caption records: their names and suffixes, and the type of a writer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from capgen.config import CsvOptions
from capgen.errors import UsageError
from capgen.paths import writing
from capgen.records import Record

# Writes a record and its thumbnail (WebP), if there is one.
Write = Callable[[Record, bytes | None], None]
DEFAULT_CSV = CsvOptions()
# A folder of images with their captions. It needs the images' files besides the records.
IMAGE_FOLDER = "imagefolder"


@dataclass(frozen=True)
class Format:
    """One format.

    Attributes:
        suffixes: Its file name suffixes; the first is the usual one.
        holds_records: Whether whole records can be read back from the file.
        thumbnails: Whether it shows the images.
    """

    suffixes: tuple[str, ...]
    holds_records: bool = False
    thumbnails: bool = False


FORMATS = {
    "json": Format((".json",), holds_records=True),
    "jsonl": Format((".jsonl", ".ndjson"), holds_records=True),
    "csv": Format((".csv",)),
    "text": Format((".txt", ".tsv")),
    "parquet": Format((".parquet",)),
    "html": Format((".html", ".htm"), thumbnails=True),
}


@contextmanager
def writing_text(path: Path, errors: str = "strict", encoding: str = "utf-8") -> Iterator[TextIO]:
    """Open a UTF-8 file that appears when the block succeeds."""
    with (
        writing(path) as temporary,
        temporary.open("w", encoding=encoding, errors=errors, newline="\n") as stream,
    ):
        yield stream


def suffix_format(path: Path) -> str | None:
    """Return the name of the format that a file's suffix tells, or None."""
    suffix = path.suffix.lower()
    return next((name for name, known in FORMATS.items() if suffix in known.suffixes), None)


def format_of(path: Path, asked: str | None = None) -> str:
    """Return the name of a file's format: the one asked for, else by its suffix."""
    names = (*FORMATS, IMAGE_FOLDER)
    if asked is not None and asked not in names:
        raise UsageError(f"--format is '{asked}'; it must be one of {', '.join(names)}")
    told = asked or suffix_format(path)
    if told is not None:
        return told
    suffixes = ", ".join(known.suffixes[0] for known in FORMATS.values())
    raise UsageError(
        f"-o {path}: '{path.suffix}' is not one of {suffixes}",
        hint=f"Choose another name, or --format {'|'.join(names)}.",
    )
