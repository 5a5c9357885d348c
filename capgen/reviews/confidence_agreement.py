"""How far confidence and people's reviews agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from capgen.records import Caption
from capgen.reviews.judgement import Judgement

_BINS = 10
# A share of fewer captions says little.
_LEAST_IN_BIN = 10


@dataclass(frozen=True, kw_only=True)
class Bin:
    """Reviewed captions of similar confidence.

    Attributes:
        low: Lowest confidence among them.
        high: Highest.
        reviewed: Their number.
        right: How many of them were right (see `Judgement.right`).
        mean_confidence: Their mean confidence.
    """

    low: float
    high: float
    reviewed: int
    right: int
    mean_confidence: float


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How far confidence and reviews agree.

    Attributes:
        bins: Reviewed captions that have a confidence, from least to most confident, in bins of
            about equal count.
        verdicts: Reviews by verdict, with or without a confidence.
    """

    bins: tuple[Bin, ...]
    verdicts: dict[str, int]

    @property
    def expected_calibration_error(self) -> float | None:
        """The expected calibration error (ECE) with bins of equal count; None without bins.

        The mean difference, over the captions, between a bin's mean confidence and the share in
        it that was right. Nguyen and O'Connor, "Posterior calibration and exploratory analysis for
        natural language processing models" (2015).
        """
        total = sum(one.reviewed for one in self.bins)
        if not total:
            return None
        return sum(abs(one.mean_confidence * one.reviewed - one.right) for one in self.bins) / total

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "bins": [
                {
                    "from": one.low,
                    "to": one.high,
                    "reviewed": one.reviewed,
                    "accepted": one.right,
                    "mean_confidence": one.mean_confidence,
                }
                for one in self.bins
            ],
            "expected_calibration_error": self.expected_calibration_error,
            "reviewed": sum(self.verdicts.values()),
            **self.verdicts,
        }


def agreement(judged: Sequence[Judgement]) -> Agreement:
    """Return how far confidence and reviews agree.

    Args:
        judged: Records with their reviews; those without a review are passed over.
    """
    verdicts = dict.fromkeys(("accepted", "edited", "rejected"), 0)
    found: list[tuple[float, bool]] = []
    for one in judged:
        if one.review is not None:
            verdicts[one.review.verdict] += 1
        confidence = one.record.confidence if isinstance(one.record, Caption) else None
        if one.right is not None and confidence is not None:
            found.append((confidence, one.right))
    return Agreement(bins=tuple(_bins(sorted(found))), verdicts=verdicts)


def _bins(ordered: list[tuple[float, bool]]) -> list[Bin]:
    """Return bins of about equal count; equal confidences are in one bin."""
    count = max(1, min(_BINS, len(ordered) // _LEAST_IN_BIN))
    bins: list[Bin] = []
    start = 0
    for number in range(1, count + 1):
        end = max(start, round(number * len(ordered) / count))
        while 0 < end < len(ordered) and ordered[end][0] == ordered[end - 1][0]:
            end += 1
        if end > start:
            bins.append(_bin(ordered[start:end]))
        start = end
    return bins


def _bin(inside: list[tuple[float, bool]]) -> Bin:
    return Bin(
        low=inside[0][0],
        high=inside[-1][0],
        reviewed=len(inside),
        right=sum(right for _, right in inside),
        mean_confidence=sum(confidence for confidence, _ in inside) / len(inside),
    )
