"""Which captions may be accepted without review, by what a random sample of reviews shows.

The promise: with probability `sure`, of the captions that are accepted without review a share of
at most `at_most_wrong` is wrong. It is about the draw of the sample and holds for any captions, any
confidence and any number of reviews, since it uses nothing else:

- The captions at or above a threshold are a finite population, and those of them that were reviewed
  are a simple random sample of it. So the number of wrong ones in the sample is hypergeometric, and
  its exact tail is a p-value of "too many are wrong" (as in Clopper and Pearson, "The use of
  confidence or fiducial limits illustrated in the case of the binomial", 1934). Too many means:
  more wrong captions in all than `at_most_wrong` of the unreviewed ones. Wrong captions that the
  sample found are so counted as if they remained; that makes the hypothesis independent of the
  labels, and the promise a little safer than it has to be.
- Many thresholds are tried. They are fixed without the labels, tested from the strictest to the
  loosest, and the error rate over all of them is kept by fixed sequence testing: Angelopoulos,
  Bates, Candès, Jordan and Lei, "Learn then Test: Calibrating predictive algorithms to achieve risk
  control" (2021), with two starts joined by the fallback procedure of Wiens, "A fixed sequence
  Bonferroni procedure for testing multiple endpoints" (2003). The second start is "accept all",
  which is reached even if confidence says nothing.

Accepting by a threshold with such a bound is Geifman and El-Yaniv, "Selective classification for
deep neural networks" (2017).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

# Thresholds that are tried, each with about as many captions more than the one before.
_THRESHOLDS = 50
# The first threshold has so many reviews that this many wrong ones would be expected if the share
# were just too high: with fewer, one wrong caption would end the search.
_EXPECTED_WRONG = 8
_FIRST_START = 0.75  # its part of the allowed error; the second start has the rest


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


@dataclass(frozen=True, kw_only=True)
class Promise:
    """What is to hold.

    Attributes:
        at_most_wrong: Highest share of wrong captions among those accepted without review.
        sure: Probability, over the draw of the sample, that it holds.
    """

    at_most_wrong: float
    sure: float


def levels_of(candidates: Sequence[Candidate]) -> list[Level]:
    """Return the levels that are tried, from the strictest to all captions."""
    ordered = sorted(candidates, key=lambda one: -one.confidence)
    levels: list[Level] = []
    counts = Level(threshold=1.0, captions=0, unreviewed=0, sampled=0, wrong=0)
    for place, one in enumerate(ordered):
        counts = replace(
            counts,
            captions=counts.captions + 1,
            unreviewed=counts.unreviewed + (not one.reviewed),
            sampled=counts.sampled + (one.right is not None),
            wrong=counts.wrong + (one.right is False),
        )
        below = ordered[place + 1].confidence if place + 1 < len(ordered) else None
        due = (len(levels) + 1) * len(ordered) / _THRESHOLDS
        if below is None or (place + 1 >= due and below < one.confidence):
            levels.append(replace(counts, threshold=_shortest(below, one.confidence)))
    return levels


def choose(levels: Sequence[Level], promise: Promise) -> Level | None:
    """Return the loosest level that keeps a promise, or None if none can be shown to keep it."""
    chosen: Level | None = None
    handed_on = 0.0
    allowed = 1 - promise.sure
    for level, weight in zip(levels, _weights(levels, promise), strict=True):
        error = weight * allowed + handed_on
        passed = error > 0 and p_value(level, promise.at_most_wrong) <= error
        handed_on = error if passed else 0.0
        chosen = level if passed else chosen
    return chosen


def p_value(level: Level, at_most_wrong: float) -> float:
    """Return the chance of a sample with as few wrong captions if too many captions were wrong."""
    if not level.unreviewed:
        return 1.0
    # The addition is for products such as 0.29 * 100, which is just below 29.
    too_many = math.floor(at_most_wrong * level.unreviewed + 1e-9) + 1
    return chance_of_fewer(level.wrong, level.captions, too_many, level.sampled)


def upper_bound(level: Level, sure: float) -> float:
    """Return an upper bound, at this level alone, on the share of wrong ones among unreviewed."""
    low, high = level.wrong, level.captions - (level.sampled - level.wrong)
    while low < high:  # the largest number of wrong captions that the sample does not rule out
        middle = (low + high + 1) // 2
        chance = chance_of_fewer(level.wrong, level.captions, middle, level.sampled)
        low, high = (middle, high) if chance > 1 - sure else (low, middle - 1)
    return (low - level.wrong) / level.unreviewed


def chance_of_fewer(found: int, captions: int, wrong: int, sampled: int) -> float:
    """Return P(X <= `found`) for the number X of wrong captions in a random sample.

    Args:
        found: The number.
        captions: Size of the population.
        wrong: Wrong captions in the population.
        sampled: Size of the sample, drawn without replacement.
    """
    if found >= min(wrong, sampled):
        return 1.0
    every = _log_choices(captions, sampled)
    return math.fsum(
        math.exp(
            _log_choices(wrong, number)
            + _log_choices(captions - wrong, sampled - number)
            - every
        )
        for number in range(max(0, sampled - captions + wrong), found + 1)
    )


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


def fewest_reviews(levels: Sequence[Level], promise: Promise) -> int | None:
    """Return the size of the smallest sample that can show something, if none of it is wrong."""
    for reviews in range(1, levels[-1].captions):
        if choose(with_reviews(levels, reviews, all_right=True), promise) is not None:
            return reviews
    return None


def _weights(levels: Sequence[Level], promise: Promise) -> Iterator[float]:
    """Yield each level's part of the allowed error; it must not depend on the labels."""
    last = len(levels) - 1
    share = levels[-1].sampled / levels[-1].captions
    needed = _EXPECTED_WRONG / promise.at_most_wrong
    first = next((n for n, level in enumerate(levels) if level.captions * share >= needed), last)
    for number in range(len(levels)):
        yield _FIRST_START * (number == first) + (1 - _FIRST_START) * (number == last)


def _shortest(below: float | None, value: float) -> float:
    """Return the number with the fewest decimals above `below` and up to `value`."""
    if below is None:
        return value if value < 0 else 0.0
    for decimals in range(2, 17):
        scale = 10**decimals
        short = math.floor(value * scale) / scale
        if below < short <= value:
            return short
    return value


def _log_choices(count: int, chosen: int) -> float:
    return math.lgamma(count + 1) - math.lgamma(chosen + 1) - math.lgamma(count - chosen + 1)
