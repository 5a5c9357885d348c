"""Whether proposed captions were right, as people's reviews say."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from capgen.records import Record, Review
from capgen.reviews.journal import Reviews, proposed


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What a review says about the caption that a record proposes.

    Attributes:
        record: The record as its file has it.
        review: The review, or None.
        right: Whether a person took the proposed caption as it is, or changed only its case,
            punctuation or spaces. None if no review is about this caption.
    """

    record: Record
    review: Review | None
    right: bool | None


def judgements(records: Sequence[Record], reviews: Reviews) -> list[Judgement]:
    """Return what reviews say about each record.

    Args:
        records: Records as their file has them (`read_records`).
        reviews: The decisions about them.
    """
    return [_judgement(record, reviews.find(record)) for record in records]


def same_words(first: str, second: str) -> bool:
    """Whether two captions differ in case, punctuation and spaces at most."""
    return _bare(first) == _bare(second)


def is_right(caption: str, review: Review) -> bool | None:
    """Whether a caption was right, by a review of its image.

    The review may be of another caption than this, such as an earlier model's. It then says only
    that a caption like the one which a person took is right.

    Returns:
        None if the review does not say.
    """
    if review.kept and same_words(caption, review.caption):
        return True
    reviewed = review.proposed is not None and same_words(caption, review.proposed)
    return False if reviewed else None


def _judgement(record: Record, review: Review | None) -> Judgement:
    if review is None:
        review = getattr(record, "review", None)  # the file itself may have it
    caption = proposed(record)
    known = caption is not None and review is not None
    right = is_right(caption, review) if known else None  # type: ignore[arg-type]
    return Judgement(record=record, review=review, right=right)


def _bare(text: str) -> str:
    """Return letters, digits and symbols in one case."""
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
    # Of the Unicode categories, P is punctuation, Z separators, C control codes.
    return "".join(
        character for character in folded if unicodedata.category(character)[0] not in "PZC"
    )
