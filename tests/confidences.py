"""A small fit of a confidence, for models whose encoder summaries have four numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from capgen.captioning.confidence.model import Fit, Regression, Subspace
from capgen.config import DecodeSettings


def make_subspace(width: int = 4) -> Subspace:
    """Two directions of deviations 1 and 2 around zero."""
    basis = np.eye(2, width)
    return Subspace(mean=np.zeros(width), basis=basis, deviation=np.array([1.0, 2.0]), floor=0.01)


def make_fit(width: int = 4, **changes: Any) -> Fit:
    """Trusts likely captions of images near the mean."""
    good = Regression(
        features=("log_probability_mean", "length"),
        mean=np.array([-0.5, 8.0]),
        scale=np.array([0.5, 4.0]),
        weights=np.array([1.5, 0.1]),
        bias=1.0,
    )
    known = Regression(
        features=("distance_inside", "distance_outside"),
        mean=np.array([0.0, 0.0]),
        scale=np.array([1.0, 1.0]),
        weights=np.array([-2.0, -1.0]),
        bias=6.0,
    )
    whole = {
        "settings": DecodeSettings(beams=3, max_length=22).to_dict(),
        "subspace": make_subspace(width),
        "good": good,
        "known": known,
        "definition": {"metric": "METEOR", "threshold": 0.25},
        "provenance": {"photos": 60},
    }
    return Fit(**{**whole, **changes})
