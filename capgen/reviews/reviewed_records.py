"""Files of records, with what people decided about them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from capgen.errors import DataError
from capgen.json_files import parse_json
from capgen.records import Caption, Record, Review, record_from_dict
from capgen.reviews.journal import Reviews, read_reviews, reviews_path


def read_reviewed(path: Path) -> list[Record]:
    """Read records with the decisions of the journal beside them.

    Args:
        path: A .json or .jsonl file of records, or of a gallery's export.

    Returns:
        The records in their order. Where a person accepted or wrote a caption, it is the
        record's text; a rejected one keeps the proposed text. `review` tells them apart.

    Raises:
        DataError: The file cannot be read, or holds something else.
    """
    return with_reviews(read_records(path), read_reviews(reviews_path(path)))


def read_records(path: Path) -> list[Record]:
    """Read a file of records.

    Raises:
        DataError: The file cannot be read, or holds something else.
    """
    return [_record(item, path, line) for line, item in _items(path)]


def with_reviews(records: list[Record], reviews: Reviews) -> list[Record]:
    """Return records with the decisions about them."""
    return [
        record if (review := reviews.find(record)) is None else with_review(record, review)
        for record in records
    ]


def with_review(record: Record, review: Review) -> Record:
    """Return a record with a decision; one without a caption gets what the person wrote.

    A person who rejects an image without a caption leaves it without one.
    """
    if isinstance(record, Caption):
        return replace(record, text=review.caption, review=review)
    if not review.kept:
        return record
    return Caption(
        path=record.path,
        text=review.caption,
        log_probability=None,
        score=None,
        sha256=record.sha256,
        model=record.model,
        revision=record.revision,
        settings=record.settings,
        confidence=record.confidence,
        review=review,
    )


def _items(path: Path) -> Iterator[tuple[int, object]]:
    """Yield each item of a JSON list or of JSON Lines, with its line (1 in a list)."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(f"Cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8") from error
    if path.suffix.lower() == ".json":
        content = parse_json(text, path)
        for item in content if isinstance(content, list) else [content]:
            yield 1, item
        return
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield number, parse_json(line, path, line=number)


def _record(item: object, path: Path, line: int) -> Record:
    try:
        return record_from_dict(item)  # type: ignore[arg-type]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise DataError(
            f"{path}:{line}: not a record of `capgen caption -o`",
            hint="Give a .json or .jsonl file that capgen wrote.",
        ) from error
