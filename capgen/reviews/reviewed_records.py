"""Files of records, with what people decided about them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from capgen.errors import DataError
from capgen.overwriting import JOURNAL_SUFFIX
from capgen.records import Caption, CaptionFailure, Record, Review
from capgen.reviews.journal import ImageKey, Reviews, read_reviews, reviews_path
from capgen.reviews.records_files import FORMS, Fault, records_in


def read_reviewed(path: Path) -> list[Record]:
    """Read records with the decisions of the journal beside them.

    Args:
        path: See `read_records`.

    Returns:
        The records in their order. Where a person accepted or wrote a caption, it is the
        record's text; a rejected one keeps the proposed text. `review` tells them apart.

    Raises:
        DataError: The file cannot be read, or holds something else.
    """
    return with_reviews(read_records(path), read_reviews(reviews_path(path)))


def read_records(path: Path) -> list[Record]:
    """Read records in any form that captions of images have in files.

    Args:
        path: Records (.json, .jsonl), the journal of an unfinished run (.journal), a gallery
            (.html) or its export, or a table with a column of images and one of captions (.csv,
            .tsv, .parquet). Of a table also the columns `verdict`, `proposed`, `confidence` and
            `sha256` are read.

    Returns:
        The records in their order. What is no record, such as a broken line, is a failure with
        the code `malformed`, whose path is the place in the file: `captions.jsonl:7`.

    Raises:
        DataError: The file cannot be read, or holds no record.
    """
    return list(iterate_records(path))


def iterate_records(path: Path) -> Iterator[Record]:
    """Yield what `read_records` returns, without holding all of it at once.

    Raises:
        DataError: The file cannot be read, or holds no record; the latter at its end.
    """
    if path.suffix == JOURNAL_SUFFIX:  # where the last record of an image counts
        yield from {ImageKey.of(record): record for record in _records(path)}.values()
    else:
        yield from _records(path)


def _records(path: Path) -> Iterator[Record]:
    found, first = False, None
    for item in records_in(path):
        if isinstance(item, Fault):
            first = first or item
            yield _failure(item)
        else:
            found = True
            yield item
    if first is not None and not found:
        raise DataError(f"{first.place}: {first.reason}", hint=FORMS)
    if not found:
        raise DataError(f"{path} has no captions", hint=FORMS)


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


def _failure(fault: Fault) -> CaptionFailure:
    message = f"{fault.place}: {fault.reason}"
    return CaptionFailure(path=fault.place, code="malformed", message=message)
