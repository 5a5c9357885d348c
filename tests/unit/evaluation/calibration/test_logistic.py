"""Logistic regression: the optimum is the optimum."""

from __future__ import annotations

import numpy as np
import pytest

from capgen.evaluation.calibration import logistic


def drawn(count: int = 4000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(1)
    features = random.normal(size=(count, 3))
    weights = np.array([1.0, -2.0, 0.0])
    chances = logistic.probability(features @ weights + 0.5)
    return features, (random.random(count) < chances).astype(float), weights


def test_weights_come_back() -> None:
    features, labels, weights = drawn()
    found = logistic.fit(features, labels, 1e-3)
    assert found.weights == pytest.approx(weights, abs=0.15)
    assert found.bias == pytest.approx(0.5, abs=0.15)


@pytest.mark.parametrize("ridge", [0.0, 1.0, 100.0])
def test_the_slope_is_zero_at_the_fit(ridge: float) -> None:
    features, labels, _ = drawn(500)
    found = logistic.fit(features, labels, ridge)
    error = logistic.probability(features @ found.weights + found.bias) - labels
    assert features.T @ error + ridge * found.weights == pytest.approx(np.zeros(3), abs=1e-5)
    assert error.sum() == pytest.approx(0.0, abs=1e-5)


def test_classes_that_a_line_tells_apart() -> None:
    features = np.concatenate([np.full((20, 1), -8.0), np.full((20, 1), 8.0)])
    labels = np.repeat([0.0, 1.0], 20)
    found = logistic.fit(features, labels, 10.0)
    assert np.isfinite(found.weights).all()
    chances = logistic.probability(features @ found.weights + found.bias)
    assert (chances[:20] < 0.05).all() and (chances[20:] > 0.95).all()


def test_unseen_rows_do_not_help_their_own_fit() -> None:
    features, labels, _ = drawn(200)
    fold = logistic.folds(200, 5, 0)
    assert np.bincount(fold).tolist() == [40] * 5
    logits = logistic.unseen(features, labels, fold, 1.0)
    flipped = np.where(fold == 2, 1 - labels, labels)
    again = logistic.unseen(features, flipped, fold, 1.0)
    assert again[fold == 2] == pytest.approx(logits[fold == 2])
    assert again[fold != 2] != pytest.approx(logits[fold != 2])


def test_noise_is_penalised_more_than_a_signal() -> None:
    random = np.random.default_rng(3)
    labels = (random.random(120) < 0.5).astype(float)
    noise = random.normal(size=(120, 30))
    fold = logistic.folds(120, 10, 0)
    assert logistic.best_ridge(noise, labels, fold) >= 100
    signal = labels[:, None] * 2 + random.normal(size=(120, 1))
    assert logistic.best_ridge(signal, labels, fold) <= 10


def test_log_loss_by_hand() -> None:
    loss = logistic.log_loss(np.array([0.8, 0.4]), np.array([1.0, 0.0]))
    assert loss == pytest.approx(-(np.log(0.8) + np.log(0.6)) / 2)
    assert np.isfinite(logistic.log_loss(np.array([0.0]), np.array([1.0])))
