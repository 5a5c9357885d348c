"""The records of a review, each with what the list of the page needs at hand.

Tokens and alternatives of 20,000 records take 170 MB as objects, and only one image is looked at
at a time: the whole record is kept packed (30 MB).
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from capgen.garbage_collector import paused_collector
from capgen.records import Caption, Record, Review
from capgen.reviews.journal import ImageKey, proposed
from capgen.reviews.reviewed_records import iterate_records
from capgen.reviews.sampling import sample_order

# What is no record, such as a broken line: there is no image to review.
_MALFORMED = "malformed"


@dataclass(frozen=True, slots=True)
class Item:
    """One image of a review.

    Attributes:
        id: Place of its record in the file.
        key: What decisions about it are filed under.
        proposed: The caption to review, or None.
        confidence: Of that caption, or None.
        error: Code of what kept it from being captioned, or None.
        review: The review that the file itself has, or None.
        packed: The record as it was read, pickled.
    """

    id: int
    key: ImageKey
    proposed: str | None
    confidence: float | None
    error: str | None
    review: Review | None
    packed: bytes

    @property
    def record(self) -> Record:
        """The record as it was read."""
        return pickle.loads(self.packed)  # of this process's own memory


@dataclass(frozen=True)
class Items:
    """The images of a review.

    Attributes:
        by_id: id → image, in the order of the file.
        sample: The ids in the order of a random sample.
        malformed: How much in the file is no record.
    """

    by_id: dict[int, Item]
    sample: list[int]
    malformed: int


def read_items(path: Path) -> Items:
    """Read the images of a file of records (see `read_records`).

    Raises:
        DataError: The file cannot be read, or holds no record.
    """
    with paused_collector():
        return items_of(iterate_records(path))


def items_of(records: Iterable[Record]) -> Items:
    """Return the images of records."""
    by_id: dict[int, Item] = {}
    keys: list[ImageKey] = []
    for number, record in enumerate(records):
        keys.append(ImageKey.of(record))
        if isinstance(record, Caption) or record.code != _MALFORMED:
            by_id[number] = _item(number, record)
    sample = [number for number in sample_order(keys) if number in by_id]
    return Items(by_id, sample, len(keys) - len(by_id))


def _item(number: int, record: Record) -> Item:
    return Item(
        id=number,
        key=ImageKey.of(record),
        proposed=proposed(record),
        confidence=record.confidence,
        error=None if isinstance(record, Caption) else record.code,
        review=record.review if isinstance(record, Caption) else None,
        packed=pickle.dumps(record, pickle.HIGHEST_PROTOCOL),
    )
