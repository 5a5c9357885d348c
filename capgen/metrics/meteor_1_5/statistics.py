"""Counts of an alignment, and the METEOR 1.5 scores of counts.

A row of counts has the numbers that the program prints: words of the caption and of the
reference; function words of both; for each matcher the matched content words of caption and
reference, then function words of both; chunks; matched words of caption and reference.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from capgen.metrics.corpus import Floats, Integers

COUNTS = 23
CHUNKS = 20

# English, tuned to human rankings: section 4 of "Meteor Universal".
_ALPHA, _BETA, _GAMMA, _DELTA = 0.85, 0.2, 0.6, 0.75
_WEIGHTS = (1.0, 0.6, 0.8, 0.6)


def scores(counts: npt.ArrayLike) -> Floats:
    """Return the scores of (…, 23) counts, which may be sums of rows made by `summable`.

    They equal the program's to the last bit, so that of two references that agree equally well
    with a caption, both sides take the same.
    """
    rows = np.asarray(counts, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        precision, recall = _weighed(rows, 0), _weighed(rows, 1)
        mean = 1 / ((1 - _ALPHA) / precision + _ALPHA / recall)
        chunks = np.where(_is_perfect(rows), 0, rows[..., CHUNKS])
        fragmentation = chunks / (rows[..., 21:23].sum(axis=-1) / 2)
        values = mean * (1 - _GAMMA * _power(fragmentation))
    return np.where(np.isnan(values), 0.0, values)


def summable(counts: Integers) -> Integers:
    """Return counts whose sums are a corpus's counts: a perfect alignment has no chunk."""
    rows = counts.copy()
    rows[_is_perfect(rows), CHUNKS] = 0
    return rows


def _is_perfect(rows: Floats | Integers) -> npt.NDArray[np.bool_]:
    """Whether all words of both sides are aligned in one chunk."""
    same: npt.NDArray[np.bool_] = (rows[..., 0:2] == rows[..., 21:23]).all(axis=-1)
    return same & (rows[..., CHUNKS] == 1)


def _power(fragmentation: Floats) -> Floats:
    """Return fragmentation to the power β, rounded as by C and Java, not as by NumPy's vectors."""
    kinds, kind = np.unique(fragmentation, return_inverse=True)
    return np.array([math.pow(value, _BETA) for value in kinds.tolist()])[kind].reshape(
        fragmentation.shape
    )


def _weighed(rows: Floats, side: int) -> Floats:
    """Return the precision (side 0) or recall (side 1)."""
    matched = np.zeros(rows.shape[:-1])
    # The order of the sums decides the last bit.
    for first, share in ((4 + side, _DELTA), (6 + side, 1 - _DELTA)):
        for matcher, weight in enumerate(_WEIGHTS):
            matched += rows[..., first + 4 * matcher] * weight * share
    function = rows[..., 2 + side]
    content = rows[..., side] - function
    ratio: Floats = matched / (_DELTA * content + (1 - _DELTA) * function)
    return ratio
