"""CSV and plain text files of caption records."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from capgen.config import NO_TAGS, CsvOptions, TagOptions
from capgen.output.base import DEFAULT_CSV, Write, writing_text
from capgen.output.escaping import one_line
from capgen.output.records import dump_json
from capgen.output.tags import joined_tags, tags_field, tags_of
from capgen.records import Caption, CaptionFailure, Record
from capgen.tables.formulas import spreadsheet_text

COLUMNS = (
    *("path", "caption", "score", "log_probability", "alternatives", "width", "height"),
    *("sha256", "model", "revision", "settings", "error_code", "error_message"),
    "confidence",
)
REVIEW_COLUMNS = ("verdict", "proposed", "reviewed_by", "reviewed_at")
_ERRORS = "surrogateescape"  # a file name that is not text keeps its bytes


def columns(tags: TagOptions, *, reviewed: bool = False) -> tuple[str, ...]:
    """Return the columns: `COLUMNS`, and more if there are to be tags, or reviews."""
    return (*COLUMNS, *(("tags",) if tags.tags else ()), *(REVIEW_COLUMNS if reviewed else ()))


def row(record: Record, tags: TagOptions = NO_TAGS, *, reviewed: bool = False) -> dict[str, Any]:
    """Return a record as a row with `columns`; lists and settings become JSON, tags a text."""
    if isinstance(record, CaptionFailure):
        own: dict[str, Any] = {"error_code": record.code, "error_message": record.message}
    else:
        others = [{"caption": other.text, "score": other.score} for other in record.alternatives]
        own = {
            "caption": record.text,
            "score": record.score,
            "log_probability": record.log_probability,
            "alternatives": dump_json(others) if others else None,
            "width": record.width,
            "height": record.height,
        }
        if record.unwritten is not None:
            own["error_code"] = record.unwritten.code
            own["error_message"] = record.unwritten.message
    shared = {
        "path": record.path,
        "sha256": record.sha256,
        "model": record.model,
        "revision": record.revision,
        "settings": dump_json(dict(record.settings)),
        "confidence": record.confidence,
    }
    found = None if isinstance(record, CaptionFailure) else tags_of(record, tags)
    if found is not None:
        own["tags"] = joined_tags(found)
    if reviewed and isinstance(record, Caption) and record.review is not None:
        review = record.review
        decided = (review.verdict, review.proposed, review.by, review.at)
        own |= dict(zip(REVIEW_COLUMNS, decided, strict=True))
    return {**dict.fromkeys(columns(tags, reviewed=reviewed)), **shared, **own}


@contextmanager
def open_csv(
    path: Path,
    options: CsvOptions = DEFAULT_CSV,
    tags: TagOptions = NO_TAGS,
    *,
    reviewed: bool = False,
) -> Iterator[Write]:
    """Write CSV (RFC 4180 with line feeds, UTF-8) with the columns of `columns`."""
    encoding = "utf-8-sig" if options.csv_bom else "utf-8"
    with writing_text(path, encoding=encoding, errors=_ERRORS) as stream:
        table = csv.DictWriter(stream, columns(tags, reviewed=reviewed), lineterminator="\n")
        table.writeheader()

        def write(record: Record, thumbnail: bytes | None) -> None:
            cells = row(record, tags, reviewed=reviewed)
            if not options.csv_formulas:
                cells = {
                    name: spreadsheet_text(cell) if isinstance(cell, str) else cell
                    for name, cell in cells.items()
                }
            table.writerow(cells)

        yield write


@contextmanager
def open_text(path: Path, tags: TagOptions = NO_TAGS) -> Iterator[Write]:
    """Write one line per caption: path, caption and any tags, with tabs. Failures are left out."""
    with writing_text(path, errors=_ERRORS) as stream:

        def write(record: Record, thumbnail: bytes | None) -> None:
            if isinstance(record, Caption):
                found = tags_of(record, tags)
                last = () if found is None else (tags_field(found),)
                for caption in (record, *record.alternatives):
                    fields = (one_line(record.path or ""), one_line(caption.text), *last)
                    stream.write("\t".join(fields) + "\n")

        yield write
