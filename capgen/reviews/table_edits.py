"""Captions that a person changed in a table, found by the journal of the run that wrote it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from capgen.errors import DataError, MissingDependencyError
from capgen.overwriting import JOURNAL_SUFFIX
from capgen.records import Caption, Record, Review
from capgen.reviews.journal import (
    Decision,
    ImageKey,
    ReviewJournal,
    read_reviews,
    reviews_path,
)
from capgen.reviews.records_files import Fault, records_in


def with_edits(path: Path, records: Iterable[Record | Fault]) -> Iterator[Record | Fault]:
    """Yield a table's records, with reviews where a caption is not what a run proposed.

    Args:
        path: The table. Without the journal of a run beside it, nothing is known of edits.
        records: Its records.
    """
    proposed = _proposed(path.with_name(path.name + JOURNAL_SUFFIX))
    for record in records:
        yield _with_edit(record, proposed) if isinstance(record, Caption) else record


def keep_edits(path: Path) -> int:
    """Add what a person changed in a table to its decisions, before a run writes it again.

    Returns:
        How many changes were added.

    Raises:
        StorageError: The decisions cannot be written.
    """
    if not path.is_file() or not path.with_name(path.name + JOURNAL_SUFFIX).is_file():
        return 0
    try:
        records = list(with_edits(path, records_in(path)))
    except (DataError, MissingDependencyError):
        return 0
    known = read_reviews(reviews_path(path))
    now = datetime.now(UTC).isoformat(timespec="seconds")
    decisions = [
        Decision(ImageKey.of(record), replace(record.review, at=now))
        for record in records
        if isinstance(record, Caption)
        and record.review is not None
        and ((before := known.find(record)) is None or is_later(record.review, before))
    ]
    if decisions:
        journal = ReviewJournal(reviews_path(path))
        try:
            journal.add(decisions)
        finally:
            journal.close()
    return len(decisions)


def is_later(own: Review, known: Review, earlier: Iterable[Review] = ()) -> bool:
    """Whether a decision in a table was made after the one that the journal of decisions has.

    A table that was written with a decision has its time: what differs from it was changed since.

    Args:
        own: The table's decision.
        known: The journal's decision that counts.
        earlier: All that the journal has about the image: what is among it was replaced there.
    """
    if own.at:
        return own.at == known.at and not same_decision(own, known)
    replaced = any(same_decision(own, each) for each in earlier)
    return not replaced and own.caption not in (known.caption, known.proposed)


def same_decision(first: Review, second: Review) -> bool:
    """Whether two reviews have the same verdict and text, whoever decided and when."""
    return (first.verdict, first.caption) == (second.verdict, second.caption)


def _proposed(journal: Path) -> dict[ImageKey, list[str]]:
    """Return what runs proposed for each image, the last text last."""
    found: dict[ImageKey, list[str]] = defaultdict(list)
    if journal.is_file():
        for record in records_in(journal):
            if isinstance(record, Caption):
                found[ImageKey.of(record)].append(record.text)
    return found


def _with_edit(record: Caption, proposed: dict[ImageKey, list[str]]) -> Caption:
    texts = proposed.get(ImageKey.of(record), [])
    if record.review is not None or not texts or record.text in texts:
        return record
    return replace(record, review=Review(verdict="edited", proposed=texts[-1], caption=record.text))
