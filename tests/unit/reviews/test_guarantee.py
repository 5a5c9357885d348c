"""The promise holds: by exact sums, and by drawing samples from populations that are known."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from capgen.reviews.guarantee import (
    Promise,
    choose,
    fewest_reviews,
    p_value,
    tolerable,
    upper_bound,
)
from capgen.reviews.levels import Candidate, Level, levels_of, with_reviews

DRAWS = 300
PROMISE = Promise(at_most_wrong=0.1, sure=0.95)
Choice = Callable[[list[Level], Promise], Level | None]
World = tuple[NDArray[np.float64], NDArray[np.bool_]]  # confidence, whether right


def drawn(
    world: World, reviews: int, random: np.random.Generator, more: NDArray[np.bool_] | None = None
) -> list[Candidate]:
    """The captions of a world of which some, at random, were reviewed; `more` by whim."""
    return next(draws(world, reviews, random, more))


def draws(
    world: World, reviews: int, random: np.random.Generator, more: NDArray[np.bool_] | None = None
) -> Iterator[list[Candidate]]:
    """Draw again and again from the same captions."""
    rows = list(zip(world[0].tolist(), world[1].tolist(), strict=True))
    liked = np.zeros(len(rows), bool) if more is None else more
    rest = [
        Candidate(confidence=sure, reviewed=seen)
        for (sure, _), seen in zip(rows, liked.tolist(), strict=True)
    ]
    labelled = [Candidate(confidence=sure, reviewed=True, right=good) for sure, good in rows]
    while True:
        candidates = list(rest)
        for place in random.choice(len(rows), reviews, replace=False).tolist():
            candidates[place] = labelled[place]
        yield candidates


def share_wrong(world: World, candidates: list[Candidate], level: Level) -> float:
    """The share of wrong captions among those that a level accepts without review."""
    accepted = [
        good
        for one, good in zip(candidates, world[1].tolist(), strict=True)
        if not one.reviewed and one.confidence >= level.threshold
    ]
    assert len(accepted) == level.unreviewed > 0
    return 1 - sum(accepted) / len(accepted)


def broken(
    world: World,
    reviews: int,
    promise: Promise = PROMISE,
    more: NDArray[np.bool_] | None = None,
    choices: Sequence[Choice] = (choose,),
) -> list[float]:
    """How often the promise is broken over many draws, by each way of choosing a level."""
    drawing = draws(world, reviews, np.random.default_rng(7), more)
    failures = [0] * len(choices)
    for candidates in itertools.islice(drawing, DRAWS):
        levels = levels_of(candidates)
        for number, choice in enumerate(choices):
            level = choice(levels, promise)
            if level is not None:
                failures[number] += share_wrong(world, candidates, level) > promise.at_most_wrong
    return [count / DRAWS for count in failures]


def world(count: int, chance: Callable[[NDArray[np.float64]], object], seed: int = 0) -> World:
    """Captions with even confidences, right with a chance that depends on the confidence."""
    random = np.random.default_rng(seed)
    confidence = random.random(count)
    return confidence, random.random(count) < np.asarray(chance(confidence))


def sharp(sure: NDArray[np.float64]) -> NDArray[np.float64]:
    rising: NDArray[np.float64] = 1 / (1 + np.exp(-12 * (sure - 0.4)))
    return rising


WORLDS = {
    "confidence tells right from wrong": sharp,
    "calibrated": lambda sure: sure,
    "too confident": lambda sure: 0.92 * np.sqrt(sure),
    "confidence says nothing": lambda sure: np.full_like(sure, 0.94),
    "the most confident are wrong": lambda sure: np.where(sure > 0.95, 0.5, 0.97),
    "the wrong way round": lambda sure: 1 - 0.3 * sure,
    # The hardest: at every threshold the share is just what it must not be, or near it.
    "just too many wrong": lambda sure: np.full_like(sure, 0.89),
    "just too many, later": lambda sure: np.where(sure > 0.6, 0.93, 0.8),
}


@pytest.mark.parametrize("chance", WORLDS.values(), ids=list(WORLDS))
@pytest.mark.parametrize(("count", "reviews"), [(2000, 300), (400, 160)])
def test_the_promise_holds(
    chance: Callable[[NDArray[np.float64]], object], count: int, reviews: int
) -> None:
    assert broken(world(count, chance), reviews)[0] <= 0.05


@pytest.mark.parametrize("values", [2, 5, 20])
def test_it_holds_with_ties(values: int) -> None:
    for name in ("confidence tells right from wrong", "just too many, later"):
        confidence, right = world(1000, WORLDS[name])
        tied = np.ceil(confidence * values) / values
        assert broken((tied, right), 250)[0] <= 0.05


@pytest.mark.parametrize(
    "promise", [Promise(at_most_wrong=0.3, sure=0.8), Promise(at_most_wrong=0.02, sure=0.99)]
)
def test_it_holds_for_other_promises(promise: Promise) -> None:
    just_too_many = 1 - promise.at_most_wrong * 1.02
    flat = world(3000, lambda sure: np.full_like(sure, just_too_many))
    assert broken(flat, 500, promise)[0] <= 1 - promise.sure
    assert broken(world(3000, sharp), 500, promise)[0] <= 1 - promise.sure


@pytest.mark.parametrize(("count", "reviews"), [(1, 1), (3, 2), (30, 20), (60, 40), (60, 59)])
def test_tiny_files(count: int, reviews: int) -> None:
    for chance in (sharp, WORLDS["just too many wrong"]):
        assert broken(world(count, chance), reviews)[0] <= 0.05


def test_it_holds_where_people_have_also_reviewed_what_they_liked() -> None:
    """They took the right ones, so that the wrong ones remain."""
    random = np.random.default_rng(3)
    for name in ("confidence tells right from wrong", "confidence says nothing"):
        confidence, right = world(2000, WORLDS[name])
        liked = right & (random.random(2000) < 0.5)
        assert broken((confidence, right), 300, more=liked)[0] <= 0.05


def test_looking_at_many_thresholds_without_care_would_break_it() -> None:
    """Shows that the tests above can fail: each threshold by itself, at the same level."""

    def careless(levels: list[Level], promise: Promise) -> Level | None:
        found = [one for one in levels if p_value(one, levels[-1], promise) <= 1 - promise.sure]
        return found[-1] if found else None

    # A little more than a tenth is wrong, evenly among all confidences.
    right = np.ones(5000, bool)
    right[np.arange(0, 5000, 1 / 0.102).astype(int)] = False
    even = np.arange(5000) / 5000, right
    without_care, with_care = broken(even, 300, choices=(careless, choose))
    assert without_care > 0.07
    assert with_care < 0.02


def test_all_right_and_all_wrong() -> None:
    random = np.random.default_rng(0)
    confidence = random.random(1000)
    levels = levels_of(drawn((confidence, np.ones(1000, bool)), 60, random))
    level = choose(levels, PROMISE)
    assert level is not None
    assert (level.unreviewed, level.wrong) == (940, 0)
    assert 0 < level.threshold <= confidence.min()
    for reviews in (60, 500, 999):
        levels = levels_of(drawn((confidence, np.zeros(1000, bool)), reviews, random))
        assert choose(levels, PROMISE) is None


def test_much_is_accepted_where_confidence_is_good() -> None:
    told = world(2000, sharp)
    random = np.random.default_rng(1)
    counts = []
    for _ in range(40):
        level = choose(levels_of(drawn(told, 300, random)), PROMISE)
        counts.append(0 if level is None else level.unreviewed)
    # With every label known it would be about 1,000.
    assert np.mean(counts) > 600


@pytest.mark.parametrize("sampled", [300, 1000, 1900])
def test_how_many_wrong_ones_are_tolerable(sampled: int) -> None:
    """With more, the sample may by chance hold too few of them; reviewing much finds many."""
    level = Level(threshold=0.5, captions=900, unreviewed=800, sampled=100, wrong=0)
    every = Level(threshold=0.0, captions=2000, unreviewed=1900, sampled=sampled, wrong=0)
    promise = Promise(at_most_wrong=0.1, sure=0.5)
    most = tolerable(level, every, promise)
    random = np.random.default_rng(0)
    for wrong, low, high in ((most, 0.3, 1.15), (most + 12, 1.5, 1000)):
        # Wrong ones at the level, right ones, and all others.
        drawn_of = random.multivariate_hypergeometric([wrong, 900 - wrong, 1100], sampled, 400_000)
        found, right = drawn_of[:, 0], drawn_of[:, 1]
        remain, wrong_remain = 900 - found - right, wrong - found
        share = float((wrong_remain > np.floor(0.1 * remain + 1e-9)).mean())
        assert low <= share / promise.unlucky <= high
    assert most <= 90


def test_nothing_is_left_to_accept() -> None:
    none_left = Level(threshold=0.5, captions=40, unreviewed=0, sampled=40, wrong=0)
    assert p_value(none_left, none_left, PROMISE) == 1.0


def test_a_large_file_is_like_drawing_with_replacement() -> None:
    """29 right ones in a row are the least that shows 10 % with 95 %, by Clopper and Pearson."""
    level = Level(threshold=0.5, captions=10**7, unreviewed=10**7, sampled=29, wrong=0)
    less = replace(level, sampled=28)
    assert p_value(level, level, PROMISE) == pytest.approx(0.9**29, rel=1e-4)
    assert p_value(less, less, PROMISE) > 0.05 > p_value(level, level, PROMISE)
    # 0.045 and not 0.05: the rest is set aside for bad luck.
    assert upper_bound(level, level, PROMISE) == pytest.approx(1 - 0.045 ** (1 / 29), abs=1e-5)


def test_the_bound_is_on_what_was_not_reviewed() -> None:
    """It holds for a threshold that was not chosen by the sample."""
    random = np.random.default_rng(4)
    told = world(800, sharp)
    too_high = []
    for _ in range(DRAWS):
        candidates = drawn(told, 200, random)
        levels = levels_of(candidates)
        level = next(one for one in levels if one.captions >= 400)
        bound = upper_bound(level, levels[-1], PROMISE)
        too_high.append(share_wrong(told, candidates, level) > bound)
        assert level.wrong / level.sampled < bound < 0.3
    assert 0 < np.mean(too_high) <= 0.05


def test_how_many_reviews_are_needed_at_least() -> None:
    candidates = [Candidate(confidence=n / 5000, reviewed=False) for n in range(5000)]
    levels = levels_of(candidates)
    fewest = fewest_reviews(levels, PROMISE)
    assert fewest is not None
    # 29 for one threshold alone, and a few for the freedom to choose.
    assert 29 <= fewest <= 35
    good = choose(with_reviews(levels, fewest, all_right=True), PROMISE)
    assert good is not None and good.unreviewed > 4000
    assert choose(with_reviews(levels, fewest - 1, all_right=True), PROMISE) is None
    assert fewest_reviews(levels_of(candidates[:12]), PROMISE) is None


def test_an_estimate_of_more_reviews_is_near_what_comes() -> None:
    told = world(4000, sharp)
    random = np.random.default_rng(2)
    expected, came = [], []
    for _ in range(30):
        level = choose(with_reviews(levels_of(drawn(told, 300, random)), 600), PROMISE)
        expected.append(0 if level is None else level.unreviewed)
        level = choose(levels_of(drawn(told, 600, random)), PROMISE)
        came.append(0 if level is None else level.unreviewed)
    assert np.median(expected) == pytest.approx(np.median(came), rel=0.15)
