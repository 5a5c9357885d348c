"""Keeps what a person changed in a table that a run is about to write again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from capgen.errors import DataError, MissingDependencyError
from capgen.overwriting import JOURNAL_SUFFIX
from capgen.records import Caption
from capgen.reviews.journal import (
    Decision,
    ImageKey,
    ReviewJournal,
    proposed,
    read_reviews,
    reviews_path,
)
from capgen.reviews.reviewed_records import counting_review, read_records


def keep_edits(path: Path) -> int:
    """Add what a person changed in a table to its decisions.

    Returns:
        How many changes were added.

    Raises:
        StorageError: The decisions cannot be written.
    """
    if not path.is_file() or not path.with_name(path.name + JOURNAL_SUFFIX).is_file():
        return 0
    decisions = list(_new_decisions(path))
    if decisions:
        journal = ReviewJournal(reviews_path(path))
        try:
            journal.add(decisions)
        finally:
            journal.close()
    return len(decisions)


def _new_decisions(path: Path) -> Iterator[Decision]:
    """Yield the decisions in a table that count and are not in the journal."""
    known = read_reviews(reviews_path(path))
    now = datetime.now(UTC).isoformat(timespec="seconds")
    try:
        records = read_records(path)
    except (DataError, MissingDependencyError):
        return  # nothing in it was decided
    for record in records:
        own = record.review if isinstance(record, Caption) else None
        key = ImageKey.of(record)
        if own is not None and counting_review(own, key, proposed(record), known) is own:
            yield Decision(key, replace(own, at=now))
