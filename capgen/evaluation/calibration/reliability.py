"""Quality of probabilities: calibration, ranking, and the gain from abstaining."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]
BINS = 10


@dataclass(frozen=True)
class Bin:
    """Captions with a confidence between `low` and `high`.

    `confidence` is their mean confidence, `good` the share of good captions; both are 0 if
    `count` is 0.
    """

    low: float
    high: float
    count: int
    confidence: float
    good: float


def reliability(chances: Reals, good: Reals, bins: int = BINS) -> list[Bin]:
    """Return the bins, of equal width, of a reliability diagram; `good` is (n,) of 0 or 1."""
    bin_of = np.minimum((chances * bins).astype(int), bins - 1)
    points = []
    for number in range(bins):
        inside = bin_of == number
        count = int(inside.sum())
        mean = float(chances[inside].mean()) if count else 0.0
        share = float(good[inside].mean()) if count else 0.0
        points.append(Bin(number / bins, (number + 1) / bins, count, mean, share))
    return points


def calibration_error(chances: Reals, good: Reals, bins: int = BINS) -> float:
    """Return the expected calibration error with bins of equal width.

    Guo et al., "On Calibration of Modern Neural Networks" (2017).
    """
    points = reliability(chances, good, bins)
    return sum(point.count * abs(point.confidence - point.good) for point in points) / len(chances)


def error_by_chance(chances: Reals, seed: int = 0, draws: int = 500) -> float:
    """Return the mean `calibration_error` of exactly right probabilities, by simulation."""
    random = np.random.default_rng(seed)
    drawn = (random.random((draws, len(chances))) < chances).astype(float)
    return float(np.mean([calibration_error(chances, labels) for labels in drawn]))


def auroc(higher: Reals, lower: Reals) -> float:
    """Return the area under the ROC curve, from ranks (Mann-Whitney); ties count half."""
    values = np.concatenate([higher, lower])
    _, index, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (counts.cumsum() - (counts - 1) / 2)[index]
    total = ranks[: len(higher)].sum() - len(higher) * (len(higher) + 1) / 2
    return float(total / len(higher) / len(lower))


def risk_coverage(chances: Reals, scores: Reals) -> Reals:
    """Return the (n,) mean score of the most confident 1, 2, … n captions."""
    order = np.argsort(-chances, kind="stable")
    means: Reals = scores[order].cumsum() / np.arange(1, len(scores) + 1)
    return means


def lift(chances: Reals, scores: Reals) -> float:
    """Return the relative gain in mean score of the most confident half over all captions."""
    means = risk_coverage(chances, scores)
    return float(means[(len(scores) + 1) // 2 - 1] / means[-1] - 1)
