"""Text files of data sets: lines and JSON, with encoding faults reported.

Lines end as on Unix, Windows or an old Mac, and nowhere else: captions may hold U+2028 or a form
feed, at which `str.splitlines` would cut.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from capgen.data.problems import Problem, Report
from capgen.errors import DataError
from capgen.json_files import parse_json

_LINE_END = re.compile(r"\r\n?|\n")
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_bytes(path: Path) -> bytes:
    """Return a file's bytes, or raise DataError."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"Cannot read {path}: {error.strerror}") from error


def read_text(path: Path, report: Report) -> str:
    """Return a file's text; bytes that are not UTF-8 are reported and read as Windows-1252."""
    data = read_bytes(path)
    if data.startswith(_UTF16):
        report(Problem(code="wrong_encoding", message="UTF-16 instead of UTF-8", file=path))
        return data.decode("utf-16", errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return "\n".join(_decode_lines(path, data, report))


def read_lines(path: Path, report: Report) -> Iterator[tuple[int, str]]:
    """Yield `(line number from 1, text without its line ending)` for the lines with text."""
    yield from lines_of(read_text(path, report))


def lines_of(text: str) -> Iterator[tuple[int, str]]:
    """Yield the lines of a text, as `read_lines` does."""
    for number, line in enumerate(_LINE_END.split(text), start=1):
        if line.strip():
            yield number, line


def read_json(path: Path, report: Report, *, unique_keys: bool = False) -> Any:
    """Return the content of a JSON file, or raise a DataError that names file and line."""
    return parse_json(read_text(path, report), path, unique_keys=unique_keys)


def _decode_lines(path: Path, data: bytes, report: Report) -> Iterator[str]:
    for number, line in enumerate(data.removeprefix(codecs.BOM_UTF8).split(b"\n"), start=1):
        try:
            yield line.decode("utf-8")
        except UnicodeDecodeError as error:
            byte = line[error.start]
            message = f"byte 0x{byte:02x} in column {error.start + 1} is not UTF-8"
            report(Problem(code="wrong_encoding", message=message, file=path, line=number))
            yield line.decode("cp1252", errors="replace")
