"""Fit a confidence on observations of captions that have been scored.

The fit has three parts:

1. P(good) of photos: a ridge regression over `capgen.captioning.confidence.model.FEATURES`;
2. P(known kind of image), photos against negatives;
3. a line through the log-odds of the product, on photos, which restores the calibration of 1
   (Platt scaling).

The ridge of 1, the lines and the quality figures use the P(good) that a fit on other images gives
(cross-validation). 2 and 3 have only six parameters and are not cross-validated.
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
    REVIEWS,
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
# Few features for P(known kind), since the negatives are of few kinds.
_KIND_FEATURES = (*DISTANCES, EVIDENCE[0])
_KIND_RIDGE = 10.0
_RIGHT_FROM = 0.5  # of a review's 0 or 1
_MAX_COMPONENTS = 32


def fit_confidence(
    known: Sequence[Observation],
    scores: Reals,
    unknown: Sequence[Observation],
    config: CalibrateConfig,
    *,
    reviewed: bool = False,
) -> tuple[Fit, dict[str, float]]:
    """Fit on observations; return the fit and its cross-validated quality figures.

    Args:
        known: Photos.
        scores: (n,) the scores of their captions.
        unknown: Negatives, if any.
        config: How to fit.
        reviewed: The scores are reviews: 1 for right, 0 for wrong.

    Raises:
        MetricError: Too few captions are good, or too few are not.
    """
    metric, good_from = METRIC_NAMES[config.metric], config.good_from
    if reviewed:
        metric, good_from = REVIEWS, _RIGHT_FROM
    good = (scores >= good_from).astype(float)
    if not 10 <= good.sum() <= len(good) - 10:
        raise MetricError(
            f"{int(good.sum())} of {len(good)} captions are good; a fit needs at least 10 that "
            "are good and 10 that are not",
            hint="Review more captions." if reviewed else "Choose another --threshold.",
        )
    subspace = find_subspace(np.array([item.summary for item in known], np.float64))
    table = _table(subspace, known)
    mean = table.mean(axis=0)
    deviation = table.std(axis=0)
    scale = np.where(deviation > 1e-6, deviation, 1.0)
    standard = _standard(table, mean, scale)
    fold = logistic.folds(len(good), config.folds, config.fit_seed)
    goodness = good_regression(standard, scores, good_from, fold)

    columns = [FEATURES.index(name) for name in _KIND_FEATURES]
    outside = _standard(_table(subspace, unknown), mean, scale)
    kind = _known_kind(standard[:, columns], outside[:, columns])
    known_chance = logistic.probability(standard[:, columns] @ kind.weights + kind.bias)
    both = np.clip(logistic.probability(goodness.unseen) * known_chance, 1e-9, 1 - 1e-9)
    odds = np.log(both / (1 - both))
    line = logistic.fit(odds[:, None], good, 0.0)
    chances = logistic.probability(odds * line.weights[0] + line.bias)
    fit = Fit(
        settings={},
        subspace=subspace,
        good=_regression(FEATURES, mean, scale, goodness),
        known=_regression(_KIND_FEATURES, mean[columns], scale[columns], kind),
        slope=float(line.weights[0]),
        intercept=line.bias,
        definition={"metric": metric, "threshold": good_from},
    )
    quality = {
        "good": float(good.mean()),
        "ridge": goodness.ridge,
        "log_loss": logistic.log_loss(chances, good),
        "calibration_error": calibration_error(chances, good),
        "auroc_good": auroc(chances[good == 1], chances[good == 0]),
        "lift_of_half": lift(chances, scores),
    }
    if unknown:
        negatives = np.array([confidence(fit, item) for item in unknown])
        quality["auroc_photos"] = auroc(chances, negatives)
    return fit, quality


def confidence(fit: Fit, observation: Observation) -> float:
    """Return the confidence that a fit gives to an observation."""
    return fit.chance(features(fit.subspace, observation.evidence, observation.summary))


def find_subspace(summaries: Reals) -> Subspace:
    """Return the principal components of (n, D) encoder summaries."""
    mean = summaries.mean(axis=0)
    _, lengths, directions = np.linalg.svd(summaries - mean, full_matrices=False)
    deviation = lengths / np.sqrt(len(summaries))
    count = max(1, min(_MAX_COMPONENTS, len(summaries) // 10, int((deviation > 1e-6).sum())))
    variance = float((deviation**2).sum())
    return Subspace(
        mean=mean,
        basis=directions[:count],
        deviation=np.maximum(deviation[:count], 1e-6),
        floor=max(1e-3 * variance, 1e-9),
    )


class GoodRegression(NamedTuple):
    """P(good) of photos, as log-odds `standard @ weights + bias`."""

    weights: Reals
    bias: float
    ridge: float
    unseen: Reals  # (n,) cross-validated log-odds


def good_regression(
    standard: Reals, scores: Reals, good_from: float, fold: NDArray[np.int64]
) -> GoodRegression:
    """Fit P(score >= good_from) to (n, F) standardised features.

    The weights are fitted to soft labels that say how far a score is from the threshold, in
    standard deviations, since hard labels discard most of the information in a score. A line
    through the log-odds then calibrates them to the hard labels.
    """
    graded = logistic.probability((scores - good_from) / scores.std())
    ridge = logistic.best_ridge(standard, graded, fold)
    soft = logistic.fit(standard, graded, ridge)
    unseen = logistic.unseen(standard, graded, fold, ridge)
    good = (scores >= good_from).astype(float)
    line = logistic.fit(unseen[:, None], good, 0.0)
    slope = float(line.weights[0])
    return GoodRegression(
        soft.weights * slope, soft.bias * slope + line.bias, ridge, unseen * slope + line.bias
    )


def _table(subspace: Subspace, observations: Sequence[Observation]) -> Reals:
    """Return (n, features) in the order of `FEATURES`."""
    rows: list[list[Any]] = [
        list(features(subspace, item.evidence, item.summary).values()) for item in observations
    ]
    return np.array(rows).reshape(len(rows), len(FEATURES))


def _standard(table: Reals, mean: Reals, scale: Reals) -> Reals:
    return np.clip((table - mean) / scale, -LARGEST, LARGEST)


def _regression(
    names: tuple[str, ...], mean: Reals, scale: Reals, fitted: GoodRegression | logistic.Weights
) -> Regression:
    return Regression(
        features=names, mean=mean, scale=scale, weights=fitted.weights, bias=fitted.bias
    )


def _known_kind(inside: Reals, outside: Reals) -> logistic.Weights:
    """Fit P(known kind); without negatives every image counts as known."""
    if not len(outside):
        return logistic.Weights(np.zeros(inside.shape[1]), 20.0)
    labels = np.concatenate([np.ones(len(inside)), np.zeros(len(outside))])
    return logistic.fit(np.concatenate([inside, outside]), labels, _KIND_RIDGE)
