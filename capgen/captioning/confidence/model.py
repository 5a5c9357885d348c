"""A captioner's confidence in its caption: from decoding and encoder to a probability.

Plain numpy. Fitting is in `capgen.evaluation.calibration`; storing a fit is in
`capgen.captioning.confidence.calibration_file`.

A confidence is the product of two logistic regressions: P(good | the image is in-domain, like
those the model was calibrated on) and P(the image is in-domain). The features of the second are
the Mahalanobis distance in the subspace where the calibration images vary most, and the
distance from that subspace (Lee et al., "A Simple Unified Framework for Detecting
Out-of-Distribution Samples", 2018; Ndiour et al., "Out-of-distribution detection with
subspace techniques", 2020).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from capgen.captioning.decoding.hypotheses import Hypothesis
from capgen.config import DecodeSettings
from capgen.errors import ModelError

Reals = NDArray[np.float64]

# The metric of a confidence that was fitted on reviews.
REVIEWS = "reviews"

# Features from decoding, in the order of `evidence`.
EVIDENCE = (
    "log_probability_mean",
    "log_probability_least",
    "log_probability_second_least",
    "log_probability_sum",
    "log_probability_deviation",
    "log_probability_opening",
    "length",
    "margin",
    "spread",
    "entropy",
    "agreement",
)
# Features from the encoder, in the order of `Subspace.measure`; coordinates follow.
DISTANCES = ("distance_inside", "distance_outside")
COORDINATES = 16
_OPENING = 3
_LOWEST = -100.0  # of a log-probability: decoding may give -inf
LARGEST = 8.0  # standardised features are clipped to this


def evidence(hypotheses: Sequence[Hypothesis]) -> Reals:
    """Return the features `EVIDENCE` of the first hypothesis of a finished search, best first.

    Beams that agree with it, and a clear lead over them, speak for it.
    """
    best = hypotheses[0]
    parts = np.clip(np.array(best.log_probabilities or (0.0,)), _LOWEST, 0.0)
    ordered = np.sort(parts)
    scores = np.clip([other.score for other in hypotheses], _LOWEST, -_LOWEST)
    totals = np.clip([other.log_probability for other in hypotheses], 10 * _LOWEST, 0.0)
    shares = np.exp(totals - totals.max())
    shares /= shares.sum()
    tokens = set(best.ids)
    others = [set(other.ids) for other in hypotheses[1:]]
    # Dice's coefficients of the sets of tokens.
    overlaps = [2 * len(tokens & ids) / max(1, len(tokens) + len(ids)) for ids in others]
    return np.array(
        [
            parts.mean(),
            ordered[0],
            ordered[min(1, len(ordered) - 1)],
            parts.sum(),
            parts.std(),
            parts[:_OPENING].sum(),
            len(parts),
            scores[0] - scores[min(1, len(scores) - 1)],
            scores[0] - scores[-1],
            -(shares * np.log(np.maximum(shares, 1e-12))).sum(),
            np.mean(overlaps) if overlaps else 1.0,
        ]
    )


@dataclass(frozen=True, kw_only=True)
class Subspace:
    """Where the encoder summaries of the calibration images lie.

    Attributes:
        mean: (D,) their mean.
        basis: (d, D) directions of largest variance, orthonormal.
        deviation: (d,) standard deviation along each.
        floor: Added to the squared distance outside, so that it stays above noise.
    """

    mean: Reals
    basis: Reals
    deviation: Reals
    floor: float

    def measure(self, summary: Reals) -> Reals:
        """Return the log distances inside and outside, and the first coordinates.

        `summary` is (D,), the result (2 + COORDINATES,), zero for missing coordinates.
        """
        centred = summary.astype(np.float64) - self.mean
        along = self.basis @ centred
        place = along / self.deviation
        rest = centred - along @ self.basis
        inside = np.log((place**2).mean() + 1e-9)
        outside = np.log(rest @ rest + self.floor)
        coordinates = np.zeros(COORDINATES)
        coordinates[: len(place)] = place[:COORDINATES]
        return np.array([inside, outside, *coordinates])


@dataclass(frozen=True, kw_only=True)
class Regression:
    """A logistic regression over named features.

    Attributes:
        features: Names, from `FEATURES`.
        mean: Mean of each over the calibration images.
        scale: Standard deviation of each.
        weights: Weight of each, standardised.
        bias: The constant.
    """

    features: tuple[str, ...]
    mean: Reals
    scale: Reals
    weights: Reals
    bias: float

    def logit(self, values: Mapping[str, float]) -> float:
        """Return the log-odds, given the features by name."""
        raw = np.array([values[name] for name in self.features])
        standard = np.clip((raw - self.mean) / self.scale, -LARGEST, LARGEST)
        return float(standard @ self.weights + self.bias)


FEATURES = (*EVIDENCE, *DISTANCES, *(f"coordinate_{n}" for n in range(COORDINATES)))


@dataclass(frozen=True, kw_only=True)
class Fit:
    """What turns the evidence about a caption into a probability.

    Attributes:
        settings: Decoding settings it was fitted with (see `same_decoding`).
        subspace: Where the encoder summaries of in-domain images lie.
        good: P(good | in-domain image).
        known: P(in-domain image).
        slope: Slope of the final correction of the product's log-odds.
        intercept: Intercept of that correction.
        definition: What "good" means: `metric`, `threshold`. The metric `reviews` is 1 for
            captions that people took as they are, else 0.
        provenance: Data, counts and quality of the fit.
        asked: What the model was asked, as records have it; empty without a prompt.
    """

    settings: Mapping[str, Any]
    subspace: Subspace
    good: Regression
    known: Regression
    slope: float = 1.0
    intercept: float = 0.0
    definition: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    asked: Mapping[str, str] = field(default_factory=dict)

    @property
    def meaning(self) -> str:
        """What "good" means, in words."""
        if self.definition["metric"] == REVIEWS:
            return "right (as reviewed)"
        return f"{self.definition['metric']} from {self.definition['threshold']:.3g}"

    def confidence(self, hypotheses: Sequence[Hypothesis], summary: NDArray[Any]) -> float:
        """Return the probability that the first hypothesis is a good caption.

        Args:
            hypotheses: All hypotheses of a finished search, best first.
            summary: (D,) the encoder's summary of the image.

        Raises:
            ModelError: The fit is another model's.
        """
        decoded = evidence(hypotheses)
        if not (np.isfinite(decoded).all() and np.isfinite(summary).all()):
            return 0.0  # half precision has overflowed: the caption is worthless
        return self.chance(features(self.subspace, decoded, summary))

    def chance(self, values: Mapping[str, float]) -> float:
        """Return the probability, given all features by name."""
        both = sigmoid(self.good.logit(values)) * sigmoid(self.known.logit(values))
        return sigmoid(self.slope * log_odds(both) + self.intercept)


def features(subspace: Subspace, decoded: Reals, summary: NDArray[Any]) -> dict[str, float]:
    """Return all features by name: those of `evidence` and those from the encoder."""
    if summary.shape != subspace.mean.shape:
        raise ModelError(
            f"The calibration expects {len(subspace.mean)} features per image, "
            f"but the model gives {summary.size}",
            hint="Calibrate the model again with `capgen calibrate`.",
        )
    values = (*decoded, *subspace.measure(summary))
    return dict(zip(FEATURES, map(float, values), strict=True))


def sigmoid(value: float) -> float:
    return float(1.0 / (1.0 + np.exp(-np.clip(value, -60.0, 60.0))))


def log_odds(probability: float) -> float:
    probability = min(max(probability, 1e-9), 1.0 - 1e-9)
    return float(np.log(probability / (1.0 - probability)))


def fitted_settings(settings: DecodeSettings) -> dict[str, Any]:
    """Return the settings that a fit keeps of those it was fitted with."""
    return {name: value for name, value in settings.to_dict().items() if name not in IRRELEVANT}


# These do not change the best caption. `num_captions` does when sampling: the best is chosen.
IRRELEVANT = (
    *("seed", "retry", "confidence", "min_confidence"),
    *("prefix", "suffix", "replace", "trim_openings"),  # what happens to captions afterwards
)


def same_decoding(settings: DecodeSettings, fitted: Mapping[str, Any]) -> bool:
    """Whether captions made with `settings` are like those a fit was fitted on.

    Settings that the fit does not know, because they are newer, had their default.
    """
    asked, plain = vars(settings), vars(DecodeSettings())
    irrelevant = IRRELEVANT if settings.sample else (*IRRELEVANT, "num_captions")
    return all(
        fitted.get(name, plain[name]) == value
        for name, value in asked.items()
        if name not in irrelevant
    )
