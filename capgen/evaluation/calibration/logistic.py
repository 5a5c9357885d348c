"""Logistic regression with a ridge penalty, and its strength chosen by cross-validation."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]

# Penalties to choose from: half the squared norm of the weights of standardised features.
RIDGES = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)
_ROUNDS = 100
_CLOSE = 1e-9


class Weights(NamedTuple):
    """A fitted regression: log-odds are `features @ weights + bias`."""

    weights: Reals
    bias: float


def fit(features: Reals, labels: Reals, ridge: float) -> Weights:
    """Fit by Newton's method (iteratively reweighted least squares).

    Args:
        features: (n, F) standardised.
        labels: (n,) between 0 and 1.
        ridge: Penalty of the weights; the bias goes free.
    """
    design = np.column_stack([features, np.ones(len(features))])
    penalty = np.full(design.shape[1], float(ridge))
    penalty[-1] = 1e-9
    found = np.zeros(design.shape[1])
    loss = _penalised(design, labels, found, penalty)
    for _ in range(_ROUNDS):
        chances = probability(design @ found)
        slope = design.T @ (chances - labels) + penalty * found
        curve = (design.T * (chances * (1 - chances))) @ design + np.diag(penalty + 1e-9)
        step = np.linalg.solve(curve, slope)
        # Halve a step that overshoots, as it does where classes can be told apart perfectly.
        while (new := _penalised(design, labels, found - step, penalty)) > loss + 1e-12:
            step /= 2
            if np.abs(step).max() < _CLOSE:
                break
        found, loss = found - step, min(new, loss)
        if np.abs(step).max() < _CLOSE:
            break
    return Weights(found[:-1], float(found[-1]))


def _penalised(design: Reals, labels: Reals, found: Reals, penalty: Reals) -> float:
    logits = design @ found
    return float((np.logaddexp(0, logits) - labels * logits).sum() + (penalty * found**2).sum() / 2)


def probability(logits: Reals) -> Reals:
    """The logistic function."""
    chances: Reals = 1 / (1 + np.exp(-np.clip(logits, -60, 60)))
    return chances


def log_loss(chances: Reals, labels: Reals) -> float:
    """Mean negative log-likelihood of labels under probabilities."""
    safe = np.clip(chances, 1e-9, 1 - 1e-9)
    return float(-(labels * np.log(safe) + (1 - labels) * np.log(1 - safe)).mean())


def folds(count: int, number: int, seed: int) -> NDArray[np.int64]:
    """Return the (count,) fold of each row, `number` folds of equal size, drawn from a seed."""
    return np.random.default_rng(seed).permutation(count) % number


def unseen(features: Reals, labels: Reals, fold: NDArray[np.int64], ridge: float) -> Reals:
    """Return the (n,) log-odds of each row by a fit on the other folds."""
    logits = np.zeros(len(labels))
    for held in np.unique(fold):
        rest = fold != held
        found = fit(features[rest], labels[rest], ridge)
        logits[~rest] = features[~rest] @ found.weights + found.bias
    return logits


def best_ridge(features: Reals, labels: Reals, fold: NDArray[np.int64]) -> float:
    """Return the penalty of `RIDGES` with the lowest cross-validated loss."""
    losses = [log_loss(probability(unseen(features, labels, fold, r)), labels) for r in RIDGES]
    return RIDGES[int(np.argmin(losses))]
