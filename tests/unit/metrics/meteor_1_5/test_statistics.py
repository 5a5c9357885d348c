"""Scores of counts; the expected ones are the official program's."""

from __future__ import annotations

import numpy as np
import pytest

from capgen.metrics.meteor_1_5.statistics import scores, summable

GOOD = [6, 6, 3, 2, 2, 2, 1, 1, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 2, 4, 4]
PERFECT = [3, 3, 1, 1, 2, 2, 1, 1, *[0] * 12, 1, 3, 3]
NOTHING = [2, 3, 0, 1, *[0] * 19]
EMPTY = [0, 1, 0, 1, *[0] * 19]


def test_of_one_caption() -> None:
    expected = [0.32774414766495336, 1, 0, 0]
    assert scores([GOOD, PERFECT, NOTHING, EMPTY]).tolist() == pytest.approx(expected, abs=1e-12)


def test_of_a_corpus() -> None:
    rows = np.array([GOOD, PERFECT, NOTHING])
    assert summable(rows)[:, 20].tolist() == [2, 0, 0]
    assert float(scores(summable(rows).sum(axis=0))) == pytest.approx(CORPUS, abs=1e-12)
    # A perfect corpus has no chunk, and no penalty.
    assert float(scores(summable(np.array([PERFECT] * 2)).sum(axis=0))) == 1


CORPUS = 0.317271646865208
