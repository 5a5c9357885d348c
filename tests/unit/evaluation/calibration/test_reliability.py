"""Calibration error, ranking and abstaining, against small cases worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from capgen.evaluation.calibration.reliability import (
    auroc,
    calibration_error,
    error_by_chance,
    lift,
    reliability,
    risk_coverage,
)

CHANCES = np.array([0.05, 0.55, 0.58, 0.95, 1.0])
GOOD = np.array([0.0, 1.0, 0.0, 1.0, 1.0])


def test_bins() -> None:
    points = reliability(CHANCES, GOOD)
    assert [point.count for point in points] == [1, 0, 0, 0, 0, 2, 0, 0, 0, 2]
    assert points[5].good == 0.5
    assert points[5].confidence == pytest.approx(0.565)
    assert (points[9].low, points[9].high) == (0.9, 1.0)


def test_calibration_error_by_hand() -> None:
    expected = (0.05 + 2 * 0.065 + 2 * 0.025) / 5
    assert calibration_error(CHANCES, GOOD) == pytest.approx(expected)


def test_exact_probabilities_err_by_chance_only() -> None:
    random = np.random.default_rng(0)
    few, many = random.random(100), random.random(10_000)
    assert error_by_chance(few, draws=50) > 3 * error_by_chance(many, draws=50)


def test_auroc() -> None:
    assert auroc(np.array([3.0, 4.0]), np.array([1.0, 2.0])) == 1.0
    assert auroc(np.array([1.0]), np.array([1.0])) == 0.5
    higher, lower = np.array([0.2, 0.5, 0.5, 0.9]), np.array([0.1, 0.5, 0.7])
    pairs = [(h > low) + (h == low) / 2 for h in higher for low in lower]
    assert auroc(higher, lower) == pytest.approx(np.mean(pairs))


def test_risk_and_coverage() -> None:
    chances, scores = np.array([0.1, 0.9, 0.5, 0.7]), np.array([0.0, 4.0, 1.0, 3.0])
    assert risk_coverage(chances, scores) == pytest.approx([4.0, 3.5, 8 / 3, 2.0])
    assert lift(chances, scores) == pytest.approx(0.75)
