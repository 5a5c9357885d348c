"""Logistic regression with a ridge penalty chosen by cross-validation."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]

# Factors of half the squared norm of the weights of standardised features.
RIDGES = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)
_MAX_STEPS = 100
_CONVERGED = 1e-9


class Weights(NamedTuple):
    """A fitted regression: log-odds are `features @ weights + bias`."""

    weights: Reals
    bias: float


def fit(features: Reals, labels: Reals, ridge: float) -> Weights:
    """Fit (n,) labels between 0 and 1 to (n, F) standardised features, by Newton's method.

    The bias is not penalised.
    """
    design = np.column_stack([features, np.ones(len(features))])
    penalty = np.full(design.shape[1], float(ridge))
    penalty[-1] = 1e-9
    theta = np.zeros(design.shape[1])
    loss = _penalised(design, labels, theta, penalty)
    for _ in range(_MAX_STEPS):
        chances = probability(design @ theta)
        gradient = design.T @ (chances - labels) + penalty * theta
        hessian = (design.T * (chances * (1 - chances))) @ design + np.diag(penalty + 1e-9)
        step = np.linalg.solve(hessian, gradient)
        # Halve a step that overshoots, as happens with perfectly separable classes.
        while (new := _penalised(design, labels, theta - step, penalty)) > loss + 1e-12:
            step /= 2
            if np.abs(step).max() < _CONVERGED:
                break
        theta, loss = theta - step, min(new, loss)
        if np.abs(step).max() < _CONVERGED:
            break
    return Weights(theta[:-1], float(theta[-1]))


def _penalised(design: Reals, labels: Reals, theta: Reals, penalty: Reals) -> float:
    logits = design @ theta
    return float((np.logaddexp(0, logits) - labels * logits).sum() + (penalty * theta**2).sum() / 2)


def probability(logits: Reals) -> Reals:
    """Return the logistic function of `logits`."""
    chances: Reals = 1 / (1 + np.exp(-np.clip(logits, -60, 60)))
    return chances


def log_loss(chances: Reals, labels: Reals) -> float:
    """Return the mean negative log-likelihood of labels under probabilities."""
    safe = np.clip(chances, 1e-9, 1 - 1e-9)
    return float(-(labels * np.log(safe) + (1 - labels) * np.log(1 - safe)).mean())


def folds(count: int, number: int, seed: int) -> NDArray[np.int64]:
    """Return the random (count,) fold of each row, of `number` folds of equal size."""
    return np.random.default_rng(seed).permutation(count) % number


def unseen(features: Reals, labels: Reals, fold: NDArray[np.int64], ridge: float) -> Reals:
    """Return the (n,) log-odds of each row by a fit on the other folds."""
    logits = np.zeros(len(labels))
    for held in np.unique(fold):
        rest = fold != held
        fitted = fit(features[rest], labels[rest], ridge)
        logits[~rest] = features[~rest] @ fitted.weights + fitted.bias
    return logits


def best_ridge(features: Reals, labels: Reals, fold: NDArray[np.int64]) -> float:
    """Return the penalty of `RIDGES` with the lowest cross-validated loss."""
    losses = [log_loss(probability(unseen(features, labels, fold, r)), labels) for r in RIDGES]
    return RIDGES[int(np.argmin(losses))]
