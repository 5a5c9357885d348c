"""The forms that records have in files: JSON, JSON Lines, galleries, and tables with captions."""

from __future__ import annotations

import html
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capgen.errors import DataError, MissingDependencyError
from capgen.json_files import parse_json
from capgen.overwriting import JOURNAL_SUFFIX
from capgen.paths import is_folder
from capgen.records import Caption, Record, record_from_dict
from capgen.reviews.table_rows import RowError, RowReader
from capgen.tables.rows import is_table, read_table
from capgen.text_encoding import encoding_of, marked_encoding

LINES = (".jsonl", ".ndjson", JOURNAL_SUFFIX)
PAGES = (".html", ".htm")
FORMS = (
    "Give what `capgen caption -o` wrote (.json, .jsonl, .csv, .tsv, .parquet, or a gallery or its "
    "export), or a table with columns of images and captions."
)
# Templates escape the attribute's quotes, and so does a browser that saves the page.
_CARD = re.compile(rb'<li class="card[^"]*" data-record="([^"]*)"')
_GALLERY = b'<meta name="generator" content="capgen">'
_BAD_BYTES = re.compile("[\udc80-\udcff]")


@dataclass(frozen=True)
class Fault:
    """A part of a file that is no record.

    Attributes:
        place: Where it is: `captions.jsonl:7`.
        reason: What is wrong with it, to follow the place and a colon.
    """

    place: str
    reason: str


def records_in(path: Path) -> Iterator[Record | Fault]:
    """Yield the records of a file, in any of the forms, and what is wrong in it.

    Raises:
        DataError: The file cannot be read at all.
        MissingDependencyError: Parquet without pyarrow.
    """
    suffix = path.suffix.lower()
    try:
        if suffix == ".json":
            yield from _array(path)
        elif suffix in LINES:
            yield from _lines(path, unfinished=suffix == JOURNAL_SUFFIX)
        elif suffix in PAGES:
            yield from _gallery(path)
        elif suffix == ".parquet":
            yield from _parquet(path)
        elif is_table(path):
            yield from _table(path)
        elif is_folder(path):
            raise DataError(
                f"Cannot read {path}: it is a folder",
                hint="Caption it first: capgen caption FOLDER -o captions.jsonl",
            )
        else:
            path.stat()  # that it is missing comes before its kind
            raise DataError(f"{path}: '{suffix}' is no kind of file with captions", hint=FORMS)
    except OSError as error:
        raise DataError(f"Cannot read {path}: {error.strerror}") from error


def _array(path: Path) -> Iterator[Record | Fault]:
    """Read a JSON array; one with a fault line by line, as capgen writes a record on each."""
    text = _text(path)
    try:
        content = parse_json(text, path)
    except DataError:
        lines = list(_numbered(path, (line.strip().rstrip(",") for line in text.split("\n"))))
        read = [_parsed(place, line) for place, line in lines if line not in ("[", "]")]
        if all(isinstance(item, Fault) for item in read):
            raise
        yield from read
        return
    for number, item in enumerate(content if isinstance(content, list) else [content], start=1):
        yield _record(f"{path}, entry {number}", item)


def _lines(path: Path, *, unfinished: bool) -> Iterator[Record | Fault]:
    """Read JSON Lines; a run that goes on may be writing the last one."""
    with path.open("rb") as file:
        mark, encoding = marked_encoding(file.read(4))
    with path.open(encoding=encoding, errors="surrogateescape", newline="\n") as file:
        file.seek(len(mark))
        for place, line in _numbered(path, file):
            if not (unfinished and not line.endswith("\n")):
                yield _parsed(place, line)


def _gallery(path: Path) -> Iterator[Record | Fault]:
    """Read the records in a gallery's cards; it may be large, since its images are in it."""
    known = False
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            known = known or _GALLERY in line
            for card in _CARD.finditer(line):
                yield _parsed(f"{path}:{number}", html.unescape(card[1].decode(errors="replace")))
    if not known:
        raise DataError(f"{path} is not a gallery that capgen wrote", hint=FORMS)


def _table(path: Path) -> Iterator[Record | Fault]:
    text = _text(path, table=True)
    table = read_table(path, io.StringIO(text, newline=""), short_rows=True)
    if not table.names:
        return
    reader = _reader(path, table.names, table.first)
    for row in table.rows:
        place = f"{path}:{row.line}"
        yield Fault(place, row.fault) if row.fault else _row(place, reader, row.cells)


def _parquet(path: Path) -> Iterator[Record | Fault]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise MissingDependencyError("pyarrow", extra="parquet", purpose="Parquet") from error
    try:
        reader, number = None, 0
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches():
                for row in batch.to_pylist():
                    number += 1
                    reader = reader or _reader(path, list(row), row)
                    yield _row(f"{path}, row {number}", reader, row)
    except pyarrow.ArrowException as error:
        message = f"{path} is not a Parquet file that can be read: {error}"
        raise DataError(message, hint=FORMS) from error


def _reader(path: Path, names: list[str], first: Mapping[str, Any]) -> RowReader:
    try:
        return RowReader.of(names, first)
    except RowError as error:
        raise DataError(f"{path} has {error}", hint=FORMS) from error


def _row(place: str, reader: RowReader, row: Mapping[str, Any]) -> Record | Fault:
    try:
        return reader.record(row)
    except RowError as error:
        return Fault(place, str(error))


def _numbered(path: Path, lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield the lines with text, each with its place in the file."""
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield f"{path}:{number}", line


def _parsed(place: str, line: str) -> Record | Fault:
    if _BAD_BYTES.search(line):
        return Fault(place, "not UTF-8")
    try:
        return _record(place, json.loads(line))
    except (ValueError, RecursionError):
        return Fault(place, f"not JSON: {line.strip()[:60]!r}")


def _record(place: str, item: Any) -> Record | Fault:
    """Return an item as a record: one of capgen's, or one with other names of fields."""
    if not isinstance(item, dict):
        return Fault(place, "not a record, but another kind of JSON")
    if "sha256_before" in item:
        return Fault(place, "a line of an undo file: `capgen undo` takes it")
    if item.get("kind") == "capgen-review":
        return Fault(place, "a line of a journal of reviews: give the records beside it")
    try:
        if not ("path" in item and "caption" in item):
            return RowReader.of(list(item), item).record(item)
        record = record_from_dict(item)
    except RowError as error:
        return Fault(place, str(error))
    except (KeyError, TypeError, AttributeError, ValueError):
        return Fault(place, "not a record of `capgen caption -o`")
    wrong = _wrong_in(record)
    return Fault(place, wrong) if wrong else record


def _wrong_in(record: Record) -> str:
    """Return what is wrong with the values that pages and orders use; empty if nothing is."""
    parts: list[Any] = [record.path, record.sha256, record.model, record.revision]
    if isinstance(record, Caption):
        if not isinstance(record.text, str):
            return "its caption is not text"
        parts += [other.text for other in record.alternatives]
        parts += [token.text for token in record.tokens]
        parts += [concept.name for concept in record.concepts]
        parts += [] if record.review is None else [record.review.proposed]
    for part in parts:
        if not isinstance(part, str | None):
            return f"{part!r} is where a text should be"
    confidence = record.confidence
    if confidence is not None and not (
        isinstance(confidence, int | float) and 0 <= confidence <= 1
    ):
        return f"its confidence {confidence!r} is not between 0 and 1"
    return ""


def _text(path: Path, *, table: bool = False) -> str:
    """Return the text of a file; names that are no text keep their bytes in capgen's tables."""
    data = path.read_bytes()
    mark, encoding = encoding_of(data) or (b"", "utf-8")
    # What is not UTF-8 comes from Windows, unless lines end as capgen ends them.
    own = table and encoding == "cp1252" and b"\r\n" not in data
    return data[len(mark) :].decode("utf-8" if own else encoding, "surrogateescape")
