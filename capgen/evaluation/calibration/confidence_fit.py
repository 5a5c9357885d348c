"""Fit a confidence on what was observed of captions that references judge.

The fit has three parts:

1. P(good), on the images: a ridge regression over `capgen.captioning.confidence.model.FEATURES`;
2. P(known kind of image), photographs against images that are not;
3. a line through the log-odds of the product, on the images, so that 2 does not cost 1 its
   calibration (Platt scaling).

The ridge of 1, the lines and the figures of quality take P(good) of an image from a fit on other
images (cross-validation). 2 and 3 are judged on what they were fitted on: they have six numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from capgen.captioning.confidence.model import (
    DISTANCES,
    EVIDENCE,
    FEATURES,
    LARGEST,
    Fit,
    Regression,
    Subspace,
    features,
)
from capgen.captioning.confidence.observe import Observation
from capgen.config import CalibrateConfig
from capgen.errors import MetricError
from capgen.evaluation.calibration import logistic
from capgen.evaluation.calibration.reliability import auroc, calibration_error, lift

Reals = NDArray[np.float64]

METRIC_NAMES = {"meteor": "METEOR", "cider_d": "CIDEr-D"}
# What tells images of a strange kind: few features, since the examples of it are few kinds.
_STRANGE = (*DISTANCES, EVIDENCE[0])
_STRANGE_RIDGE = 10.0
_DIRECTIONS = 32


def fit_confidence(
    known: Sequence[Observation],
    scores: Reals,
    unknown: Sequence[Observation],
    config: CalibrateConfig,
) -> tuple[Fit, dict[str, float]]:
    """Fit on observations that are there; also return cross-validated figures.

    Args:
        known: Observations of images.
        scores: (n,) the score of each one's caption.
        unknown: Observations of images that are not photographs; may be empty.
        config: What is good, and how to fit.

    Raises:
        MetricError: Too few of the captions are good, or too few are not.
    """
    good = (scores >= config.good_from).astype(float)
    if not 10 <= good.sum() <= len(good) - 10:
        raise MetricError(
            f"{int(good.sum())} of {len(good)} captions are good: nothing to fit",
            hint="Choose another --threshold.",
        )
    subspace = find_subspace(np.array([found.summary for found in known], np.float64))
    inside = _table(subspace, known)
    outside = _table(subspace, unknown)
    fold = logistic.folds(len(good), config.folds, config.fit_seed)

    mean, scale = _moments(inside)
    standard = _standard(inside, mean, scale)
    chosen = good_regression(standard, scores, config.good_from, fold)

    columns = [FEATURES.index(name) for name in _STRANGE]
    strangeness = _known_kind(standard[:, columns], _standard(outside, mean, scale)[:, columns])
    kind = logistic.probability(standard[:, columns] @ strangeness.weights + strangeness.bias)
    both = np.clip(logistic.probability(chosen.unseen) * kind, 1e-9, 1 - 1e-9)
    line = logistic.fit(np.log(both / (1 - both))[:, None], good, 0.0)
    chances = logistic.probability(np.log(both / (1 - both)) * line.weights[0] + line.bias)
    fit = Fit(
        settings={},
        subspace=subspace,
        good=Regression(
            features=FEATURES, mean=mean, scale=scale, weights=chosen.weights, bias=chosen.bias
        ),
        known=Regression(
            features=_STRANGE,
            mean=mean[columns],
            scale=scale[columns],
            weights=strangeness.weights,
            bias=strangeness.bias,
        ),
        slope=float(line.weights[0]),
        intercept=line.bias,
        definition={"metric": METRIC_NAMES[config.metric], "threshold": config.good_from},
    )
    quality = {
        "good": float(good.mean()),
        "ridge": chosen.ridge,
        "log_loss": logistic.log_loss(chances, good),
        "calibration_error": calibration_error(chances, good),
        "auroc_good": auroc(chances[good == 1], chances[good == 0]),
        "lift_of_half": lift(chances, scores),
    }
    if unknown:
        strange = np.array([confidence(fit, found) for found in unknown])
        quality["auroc_photos"] = auroc(chances, strange)
    return fit, quality


def confidence(fit: Fit, found: Observation) -> float:
    """Return the confidence that a fit gives to an observation."""
    return fit.chance(features(fit.subspace, found.evidence, found.summary))


def find_subspace(summaries: Reals) -> Subspace:
    """Return where (n, D) encoder summaries lie: principal components."""
    mean = summaries.mean(axis=0)
    _, lengths, directions = np.linalg.svd(summaries - mean, full_matrices=False)
    deviation = lengths / np.sqrt(len(summaries))
    count = min(_DIRECTIONS, len(summaries) // 10, int((deviation > 1e-6).sum()))
    count = max(1, count)
    variance = float((deviation**2).sum())
    return Subspace(
        mean=mean,
        basis=directions[:count],
        deviation=np.maximum(deviation[:count], 1e-6),
        floor=max(1e-3 * variance, 1e-9),
    )


class GoodRegression(NamedTuple):
    """P(good) of images, as log-odds `standard @ weights + bias`."""

    weights: Reals
    bias: float
    ridge: float
    unseen: Reals  # (n,) log-odds by fits on other images


def good_regression(
    standard: Reals, scores: Reals, good_from: float, fold: NDArray[np.int64]
) -> GoodRegression:
    """Fit P(score >= good_from) to (n, F) standardised features.

    The direction comes from labels between 0 and 1 that say how far a score is from the
    threshold, in deviations: yes and no alone would throw away most of what a score tells. A
    line through the log-odds then makes it the probability of yes.
    """
    graded = logistic.probability((scores - good_from) / scores.std())
    ridge = logistic.best_ridge(standard, graded, fold)
    found = logistic.fit(standard, graded, ridge)
    unseen = logistic.unseen(standard, graded, fold, ridge)
    good = (scores >= good_from).astype(float)
    line = logistic.fit(unseen[:, None], good, 0.0)
    slope = float(line.weights[0])
    return GoodRegression(
        found.weights * slope, found.bias * slope + line.bias, ridge, unseen * slope + line.bias
    )


def _table(subspace: Subspace, seen: Sequence[Observation]) -> Reals:
    """Return (n, features) in the order of `FEATURES`."""
    rows: list[list[Any]] = [
        list(features(subspace, found.evidence, found.summary).values()) for found in seen
    ]
    return np.array(rows).reshape(len(rows), len(FEATURES))


def _moments(table: Reals) -> tuple[Reals, Reals]:
    """Return mean and deviation of each feature; 1 for one that never changes."""
    scale = table.std(axis=0)
    return table.mean(axis=0), np.where(scale > 1e-6, scale, 1.0)


def _standard(table: Reals, mean: Reals, scale: Reals) -> Reals:
    return np.clip((table - mean) / scale, -LARGEST, LARGEST)


def _known_kind(inside: Reals, outside: Reals) -> logistic.Weights:
    """Fit P(known kind); certain where there is nothing to compare with."""
    if not len(outside):
        return logistic.Weights(np.zeros(inside.shape[1]), 20.0)
    labels = np.concatenate([np.ones(len(inside)), np.zeros(len(outside))])
    return logistic.fit(np.concatenate([inside, outside]), labels, _STRANGE_RIDGE)
