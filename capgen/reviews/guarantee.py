"""Which captions may be accepted without review, by what a random sample of reviews shows.

The promise: with probability `sure`, of the captions that are accepted without review a share of
at most `at_most_wrong` is wrong. It is about the draw of the sample and holds for any captions, any
confidence and any number of reviews, since it uses nothing else.

- The reviewed captions are a simple random sample of all. So the number of captions in it that are
  wrong and at or above a threshold is hypergeometric, and its exact tail tells how likely so few
  are if too many are wrong (as in Clopper and Pearson, "The use of confidence or fiducial limits
  illustrated in the case of the binomial", 1934).
- Many thresholds are tried. They are fixed without the labels, tested from the strictest to the
  loosest, and the chance of any error among them is bounded by fixed sequence testing:
  Angelopoulos, Bates, Candès, Jordan and Lei, "Learn then Test: Calibrating predictive algorithms
  to achieve risk control" (2021), with several starts joined by the fallback procedure of Wiens, "A
  fixed sequence Bonferroni procedure for testing multiple endpoints" (2003). The last start is
  "accept all", which is reached even if confidence says nothing.
- Such tests need hypotheses about something fixed: here, that more captions at or above the
  threshold are wrong than a number that the draw does not change. The promise is about those that
  remain, which also depend on how many of them the sample happens to hold. So the number is one
  (`tolerable`) with which too many remain only by bad luck, for which a tenth of the allowed chance
  is set aside, for all thresholds together.

Choosing a threshold of confidence by such a bound is Geifman and El-Yaniv, "Selective
classification for deep neural networks" (2017).
"""

from __future__ import annotations

import bisect
import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from capgen.reviews.hypergeometric import chance_of, chance_of_fewer
from capgen.reviews.levels import THRESHOLDS, Level, with_reviews

# Where the tests start, and the parts of the allowed error that they start with: where the sample
# may hold this many wrong captions (the more, the less is left to luck), where there is this share
# of the captions, and at all of them.
_WRONG_ONES = (0, 1, 5)
_SHARE = 0.2
_PARTS = (0.3, 0.3, 0.15, 0.1, 0.15)
_UNLUCKY = 0.1  # the part of the allowed error for samples that hold too few of the wrong ones


@dataclass(frozen=True, kw_only=True)
class Promise:
    """What is to hold.

    Attributes:
        at_most_wrong: Highest share of wrong captions among those accepted without review.
        sure: Probability, over the draw of the sample, that it holds.
    """

    at_most_wrong: float
    sure: float

    @property
    def error_of_tests(self) -> float:
        """The chance of a wrong choice that the tests may have."""
        return (1 - self.sure) * (1 - _UNLUCKY)

    @property
    def unlucky(self) -> float:
        """The rest of the allowed chance, for each threshold (see `tolerable`)."""
        return (1 - self.sure) * _UNLUCKY / THRESHOLDS


def choose(levels: Sequence[Level], promise: Promise) -> Level | None:
    """Return the loosest level that keeps a promise, or None if none can be shown to keep it."""
    return max(_kept(levels, promise), key=lambda level: level.captions, default=None)


def _kept(levels: Sequence[Level], promise: Promise) -> Iterator[Level]:
    """Yield the levels that can be shown to keep a promise."""
    handed_on = 0.0
    for level, weight in zip(levels, _weights(levels, promise), strict=True):
        error = weight * promise.error_of_tests + handed_on
        passed = error > 0 and p_value(level, levels[-1], promise) <= error
        handed_on = error if passed else 0.0
        if passed:
            yield level


def p_value(level: Level, every: Level, promise: Promise) -> float:
    """Return the chance of a sample with as few wrong captions if too many were wrong.

    Args:
        level: The captions and the sample.
        every: The level of all captions.
        promise: What is to hold.
    """
    if not level.unreviewed:
        return 1.0
    most = tolerable(level, every, promise)
    return chance_of_fewer(level.wrong, every.captions, most + 1, every.sampled)


def tolerable(level: Level, every: Level, promise: Promise) -> int:
    """Return how many captions may be wrong at a level, before the sample is drawn.

    With that many, the share of wrong ones among those that nobody reviews is above
    `promise.at_most_wrong` with a chance of at most `promise.unlucky`. Neither the labels nor the
    numbers that the draw gives decide it.
    """
    not_elsewhere = level.unreviewed + level.sampled
    return _tolerable(
        every.captions,
        every.sampled,
        level.captions,
        not_elsewhere,
        promise.at_most_wrong,
        promise.unlucky,
    )


@functools.lru_cache(maxsize=4096)
def _tolerable(
    everything: int, drawn: int, captions: int, to_draw: int, at_most_wrong: float, unlucky: float
) -> int:
    """Return what `tolerable` does.

    Args:
        everything: All captions.
        drawn: Size of the sample.
        captions: Captions at the level.
        to_draw: Those of them that were not reviewed elsewhere.
        at_most_wrong: Highest share.
        unlucky: Highest chance.
    """
    expected = drawn * captions / everything
    width = 6 * math.sqrt(expected * (1 - captions / everything) * (1 - drawn / everything))
    least = max(0, drawn - (everything - captions), math.floor(expected - width))
    counts = range(least, min(drawn, captions, math.ceil(expected + width)) + 1)
    likely = [
        (
            chance_of(number, everything, captions, drawn),
            number,
            _part(to_draw - number, at_most_wrong),
        )
        for number in counts
    ]

    def chance_of_too_many(wrong: int) -> float:
        return sum(
            chance * chance_of_fewer(wrong - remaining - 1, captions, wrong, number)
            for chance, number, remaining in likely
        )

    low, high = 0, captions - 1
    while low < high:
        wrong = (low + high + 1) // 2
        low, high = (wrong, high) if chance_of_too_many(wrong) <= unlucky else (low, wrong - 1)
    return low


def upper_bound(level: Level, every: Level, promise: Promise) -> float:
    """Return an upper bound on the share of wrong captions, for this level alone.

    The lowest share that could have been promised, if no other threshold had been tried.
    """
    low, high = 0, level.unreviewed
    while low < high:
        middle = (low + high) // 2
        tighter = replace(promise, at_most_wrong=middle / level.unreviewed)
        shown = p_value(level, every, tighter) <= promise.error_of_tests
        low, high = (low, middle) if shown else (middle + 1, high)
    return low / level.unreviewed


def _part(count: int, share: float) -> int:
    """Return a share of a count, rounded down; none of a count below zero."""
    # The addition is for products such as 0.29 * 100, which is just below 29.
    return math.floor(share * max(0, count) + 1e-9)


def first_tested(levels: Sequence[Level], promise: Promise) -> Level:
    """Return the strictest level that is tested."""
    weights = _weights(levels, promise)
    return next(level for level, weight in zip(levels, weights, strict=True) if weight)


def fewest_reviews(levels: Sequence[Level], promise: Promise) -> int | None:
    """Return the size of the smallest sample that can show something, if none of it is wrong."""
    every, reviews, too_few = levels[-1].captions, 1, 0
    while not _can_show(levels, reviews, promise):
        too_few = reviews
        reviews += math.ceil(reviews / 20)
        if reviews >= every:
            return None
    while reviews - too_few > 1:
        middle = (reviews + too_few) // 2
        enough = _can_show(levels, middle, promise)
        reviews, too_few = (middle, too_few) if enough else (reviews, middle)
    return reviews


def _can_show(levels: Sequence[Level], reviews: int, promise: Promise) -> bool:
    if reviews >= levels[-1].captions:
        return False
    return any(True for _ in _kept(with_reviews(levels, reviews, all_right=True), promise))


def _weights(levels: Sequence[Level], promise: Promise) -> list[float]:
    """Return each level's part of the allowed error; it must not depend on the labels."""
    every, last = levels[-1], len(levels) - 1

    def forgives(level: Level, wrong: int, error: float) -> bool:
        if not level.unreviewed:
            return False
        most = tolerable(level, every, promise)
        return chance_of_fewer(wrong, every.captions, most + 1, every.sampled) <= error

    starts = []
    for wrong, part in zip(_WRONG_ONES, _PARTS, strict=False):
        key = functools.partial(forgives, wrong=wrong, error=part * promise.error_of_tests)
        # The more captions there are, the more wrong ones are tolerable.
        starts.append(bisect.bisect_left(levels, True, key=key))
    enough = _SHARE * every.captions
    share = next(place for place, level in enumerate(levels) if level.captions >= enough)
    starts += [max(share, starts[0]), last]
    weights = [0.0] * len(levels)
    for part, start in zip(_PARTS, starts, strict=True):
        weights[min(start, last)] += part
    return weights
