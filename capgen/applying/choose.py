"""Which records of a file are written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from capgen.config import ApplyOptions
from capgen.records import Caption, Record

# What became of captions in a review, and what is left out without a verdict.
ACCEPTED, EDITED, REJECTED = "accepted", "edited", "rejected"
UNREVIEWED, UNSURE, FAILED = "unreviewed", "unsure", "without a caption"
UNKNOWN = "without a confidence (capgen caption --scores)"


@dataclass(frozen=True)
class Chosen:
    """The records to write.

    Attributes:
        records: Captions in their order, with the failures of images unless only some captions
            were asked for.
        left_out: How many others there are, by why they are left out.
        rejected: Those of them that a person rejected.
    """

    records: list[Record]
    left_out: Counter[str]
    rejected: list[Caption] = field(default_factory=list)


def kind_of(record: Record) -> str:
    """Return the verdict on a record, or `UNREVIEWED` or `FAILED`."""
    if not isinstance(record, Caption):
        return FAILED
    verdict = UNREVIEWED if record.review is None else record.review.verdict
    return verdict if verdict == REJECTED or record.text.strip() else FAILED


def choose(records: Iterable[Record], options: ApplyOptions) -> Chosen:
    """Choose the records to write."""
    chosen, left_out, rejected = list[Record](), Counter[str](), list[Caption]()
    for record in records:
        why = _left_out(record, options)
        if why:
            left_out[why] += 1
            if why == REJECTED and isinstance(record, Caption):
                rejected.append(record)
        else:
            chosen.append(record)
    return Chosen(chosen, left_out, rejected)


def _left_out(record: Record, options: ApplyOptions) -> str:
    """Return why a record is not written; empty if it is."""
    kind = kind_of(record)
    if kind == REJECTED:
        return kind
    if kind == FAILED:  # the message of a broken line is told in any case
        return FAILED if options.only and not _is_fault(record) else ""
    if options.only is not None:
        wanted = (EDITED,) if options.only == "edited" else (ACCEPTED, EDITED)
        return "" if kind in wanted else kind
    least = options.min_confidence
    if kind != UNREVIEWED or least is None:
        return ""
    if record.confidence is None:
        return UNKNOWN
    return UNSURE if record.confidence < least else ""


def _is_fault(record: Record) -> bool:
    return not isinstance(record, Caption) and record.code == "malformed"
