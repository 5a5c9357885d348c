"""Intervals for scores and for differences between two systems, by resampling images.

Efron and Tibshirani, "An introduction to the bootstrap" (1993), percentile intervals; the
paired test is that of Koehn, "Statistical significance tests for machine translation
evaluation" (EMNLP 2004), two-sided. A resample draws as many images as there are, with
replacement; a corpus BLEU is computed anew from the counts of the images drawn.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

import capgen.metrics.bleu as bleu
import capgen.metrics.official as official
from capgen.errors import MetricError
from capgen.metrics.corpus import Floats
from capgen.metrics.score import ScoreReport

SAMPLES = 1000
LEVEL = 0.95

# Its corpus score is not the mean of its images', and its program keeps the counts.
_NOT_RESAMPLED = frozenset([official.METEOR_NAME])
# Per-image scores closer than this are a tie.
_TIE = 1e-9
# Images drawn at once: bounds the memory of a resampling at 32 MiB.
_DRAWS_AT_ONCE = 4_000_000


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A corpus score and where it would likely lie for other images of the same kind.

    Attributes:
        value: The score.
        low: Lower end of the interval.
        high: Upper end.
        level: How many of a hundred such intervals are meant to hold the true score, / 100.
    """

    value: float
    low: float
    high: float
    level: float = LEVEL

    def to_dict(self) -> dict[str, Any]:
        """Return the interval as built-in types."""
        return {"value": self.value, "low": self.low, "high": self.high, "level": self.level}


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How two systems compare by one metric; differences are the first minus the second.

    Attributes:
        first: Corpus score of the first system.
        second: Corpus score of the second.
        difference: The interval of their difference.
        p_value: How often the opposite, or no difference, would come out by the choice of
            images alone (two-sided).
        wins: Images on which the first scores higher.
        ties: Images on which they score the same.
        losses: Images on which the second scores higher.
        images: (images,) difference of each image, in the order of the first report.
    """

    first: float
    second: float
    difference: Interval
    p_value: float
    wins: int
    ties: int
    losses: int
    images: Floats

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as built-in types, without the single images."""
        return {
            "first": self.first,
            "second": self.second,
            "difference": self.difference.to_dict(),
            "p_value": self.p_value,
            "wins": self.wins,
            "ties": self.ties,
            "losses": self.losses,
        }


def confidence_intervals(
    report: ScoreReport, *, seed: int, samples: int = SAMPLES, level: float = LEVEL
) -> dict[str, Interval]:
    """Return a bootstrap interval for every corpus score of a report but METEOR 1.5.

    Args:
        report: The scores.
        seed: Seed of the resampling.
        samples: Number of resamples.
        level: Share of resamples between the two ends.
    """
    drawn = _resampled([report], seed, samples)[0]
    ends = [(1 - level) / 2, (1 + level) / 2]
    return {
        name: Interval(
            value=value,
            low=float(np.quantile(drawn[name], ends[0])),
            high=float(np.quantile(drawn[name], ends[1])),
            level=level,
        )
        for name, value in report.corpus.items()
        if name in drawn
    }


def compare(
    first: ScoreReport,
    second: ScoreReport,
    *,
    seed: int,
    samples: int = SAMPLES,
    level: float = LEVEL,
) -> dict[str, Difference]:
    """Compare two systems on the same images, for each metric that both reports have.

    METEOR 1.5 is left out: its corpus score cannot be resampled.

    Both are scored on the same resamples, so that images which are hard for both do not
    hide a difference.

    Args:
        first: Scores of one system.
        second: Scores of the other; the order of the images may differ.
        seed: Seed of the resampling.
        samples: Number of resamples.
        level: Share of resamples between the two ends of an interval.

    Raises:
        MetricError: The reports are not about the same images, or were not scored in the
            same way.
    """
    _check_comparable(first, second)
    row = {image_id: index for index, image_id in enumerate(second.image_ids)}
    order = np.array([row[image_id] for image_id in first.image_ids])
    drawn, other = _resampled([first, second], seed, samples, order)
    differences = {}
    for name in drawn:
        if name not in other:
            continue
        images = first.per_image[name] - second.per_image[name][order]
        resampled = drawn[name] - other[name]
        value = first.corpus[name] - second.corpus[name]
        low, high = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2])
        differences[name] = Difference(
            first=first.corpus[name],
            second=second.corpus[name],
            difference=Interval(value=value, low=float(low), high=float(high), level=level),
            p_value=_p_value(resampled),
            wins=int((images > _TIE).sum()),
            ties=int((abs(images) <= _TIE).sum()),
            losses=int((images < -_TIE).sum()),
            images=images,
        )
    return differences


def _p_value(differences: Floats) -> float:
    """Return twice the smaller share of resamples on one side of zero, zero included.

    One is added to both counts, as no finite number of resamples shows a p-value of 0.
    """
    side = min((differences <= 0).sum(), (differences >= 0).sum())
    return min(1.0, 2 * (1 + int(side)) / (1 + len(differences)))


def _check_comparable(first: ScoreReport, second: ScoreReport) -> None:
    unlike = set(first.image_ids) ^ set(second.image_ids)
    if unlike:
        named = ", ".join(repr(image_id) for image_id in sorted(unlike)[:5])
        raise MetricError(
            f"The two reports are not about the same images: {len(unlike)} are in one only, "
            f"such as {named}"
        )
    for field in ("protocol", "tokenizer_version", "references_digest", "document_frequencies"):
        ours, theirs = getattr(first.stamp, field), getattr(second.stamp, field)
        if ours != theirs:
            raise MetricError(
                f"The two reports cannot be compared: the {field.replace('_', ' ')} of one is "
                f"{ours!r}, of the other {theirs!r}",
                hint="Score both with the same references and settings.",
            )


def _resampled(
    reports: list[ScoreReport], seed: int, samples: int, order: Any = slice(None)
) -> list[Mapping[str, Floats]]:
    """Return for each report: name → (samples,) corpus scores; `order` sorts all but the first."""
    images = len(reports[0].image_ids)
    orders = [slice(None)] + [order] * (len(reports) - 1)
    drawn: list[dict[str, list[Floats]]] = [
        {name: [] for name in report.corpus if name not in _NOT_RESAMPLED} for report in reports
    ]
    for times in _draws(images, samples, seed):
        for report, rows, found in zip(reports, orders, drawn, strict=True):
            if report.bleu_statistics is not None:
                scores = bleu.bleu_scores(times @ report.bleu_statistics[rows])
                for name, column in zip(bleu.NAMES, scores.T, strict=True):
                    found[name].append(column)
            for name in found:
                if name not in bleu.NAMES:
                    found[name].append(times @ report.per_image[name][rows] / images)
    return [{name: np.concatenate(parts) for name, parts in found.items()} for found in drawn]


def _draws(images: int, samples: int, seed: int) -> Iterator[Floats]:
    """Yield (some, images) arrays of how often each resample holds each image."""
    generator = np.random.default_rng(seed)
    at_once = max(1, _DRAWS_AT_ONCE // images)
    for start in range(0, samples, at_once):
        some = min(at_once, samples - start)
        places = generator.integers(images, size=(some, images))
        places += images * np.arange(some)[:, None]
        times = np.bincount(places.ravel(), minlength=some * images)
        yield times.reshape(some, images).astype(np.float64)
