"""The thresholds of confidence that are tried, and the captions at or above each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

# Thresholds that are tried, each with about as many captions more than the one before.
THRESHOLDS = 50


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A caption that may be accepted without review.

    Attributes:
        confidence: Its confidence.
        reviewed: Whether somebody reviewed it.
        right: Whether it was right, if it belongs to the random sample; else None.
    """

    confidence: float
    reviewed: bool
    right: bool | None = None


@dataclass(frozen=True, kw_only=True)
class Level:
    """The captions at or above a threshold.

    Attributes:
        threshold: Lowest confidence.
        captions: Their number, reviewed or not.
        unreviewed: How many of them would be accepted without review.
        sampled: How many of them are in the random sample.
        wrong: How many of those are wrong.
    """

    threshold: float
    captions: int
    unreviewed: int
    sampled: int
    wrong: int


def levels_of(candidates: Sequence[Candidate]) -> list[Level]:
    """Return the levels that are tried, from the strictest to all captions."""
    ordered = sorted(candidates, key=lambda one: -one.confidence)
    levels: list[Level] = []
    unreviewed = sampled = wrong = 0
    for count, one in enumerate(ordered, start=1):
        unreviewed += not one.reviewed
        sampled += one.right is not None
        wrong += one.right is False
        below = ordered[count].confidence if count < len(ordered) else None
        due = count * THRESHOLDS >= (len(levels) + 1) * len(ordered)
        if below is None or (due and below < one.confidence):
            levels.append(
                Level(
                    threshold=_shortest(below, one.confidence),
                    captions=count,
                    unreviewed=unreviewed,
                    sampled=sampled,
                    wrong=wrong,
                )
            )
    return levels


def with_reviews(levels: Sequence[Level], reviews: int, *, all_right: bool = False) -> list[Level]:
    """Return levels as a random sample of another size would probably make them.

    Args:
        levels: The levels as they are.
        reviews: Size of that sample.
        all_right: Assume that no caption of it is wrong, not the shares of wrong ones found so far.
    """
    return [_with_reviews(level, reviews / levels[-1].captions, all_right) for level in levels]


def _with_reviews(level: Level, share: float, all_right: bool) -> Level:
    sampled = round(level.captions * share)
    wrong = 0 if all_right or not level.sampled else level.wrong / level.sampled * sampled
    unreviewed = max(0, level.unreviewed + level.sampled - sampled)
    return replace(level, sampled=sampled, wrong=round(wrong), unreviewed=unreviewed)


def _shortest(below: float | None, value: float) -> float:
    """Return the number with the fewest decimals above `below` and up to `value`.

    Without anything below, it is above zero if the value is: captions without a confidence are
    not meant.
    """
    if below is None:
        below = min(value, 0.0)
    for decimals in range(2, 17):
        scale = 10**decimals
        short = math.floor(value * scale) / scale
        if below < short <= value:
            return short
    return value
