"""Files of records, with what people decided about them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from capgen.errors import DataError
from capgen.overwriting import JOURNAL_SUFFIX
from capgen.records import Caption, CaptionFailure, Record, Review
from capgen.reviews.journal import ImageKey, Reviews, proposed, read_reviews, reviews_path
from capgen.reviews.records_files import FORMS, Fault, records_in
from capgen.reviews.table_edits import is_later, same_decision, with_edits


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
            `sha256` are read. A caption that is not what the journal beside a table has was
            edited.

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
    for item in with_edits(path, records_in(path)):
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
    return [decided(record, reviews) for record in records]


def decided(record: Record, reviews: Reviews) -> Record:
    """Return a record with the decision about it, if there is one (see `counting_review`)."""
    own = record.review if isinstance(record, Caption) else None
    review = counting_review(own, ImageKey.of(record), proposed(record), reviews)
    if review is not None:
        return record if review is own else with_review(record, review)
    if own is None or own.proposed is None or not isinstance(record, Caption):
        return record
    return replace(record, text=own.proposed, review=None)


def counting_review(
    own: Review | None, key: ImageKey, caption: str | None, reviews: Reviews
) -> Review | None:
    """Return the decision about an image that counts: the file's own or the journal's.

    The file's own counts if it is later: the journal has never had it, and it differs.

    Args:
        own: The review that the file itself has, or None.
        key: The image.
        caption: The caption that was proposed, or None.
        reviews: The decisions of the journal.
    """
    found = reviews.about(key, caption)
    if own is None:
        return found
    known = [each.review for each in reviews.history(key) if each.review is not None]
    if found is None:  # maybe because somebody took the file's own decision back
        return None if any(same_decision(own, each) for each in known) else own
    return own if is_later(own, found, known) else found


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
