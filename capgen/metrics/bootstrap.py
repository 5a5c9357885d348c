"""Bootstrap intervals for scores and for differences between two systems.

Percentile intervals as in Efron and Tibshirani, "An introduction to the bootstrap" (1993); the
paired test of Koehn, "Statistical significance tests for machine translation evaluation"
(EMNLP 2004), two-sided. A resample draws all images with replacement; corpus BLEU and METEOR 1.5
are recomputed from the counts of the drawn images, and so are ratios such as CHAIRi.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

import capgen.metrics.bleu as bleu
from capgen.errors import MetricError
from capgen.metrics.corpus import Floats, some_images
from capgen.metrics.definitions import LOWER_IS_BETTER
from capgen.metrics.meteor_1_5 import resources
from capgen.metrics.meteor_1_5.statistics import scores as meteor_scores
from capgen.metrics.meteor_1_5.statistics import summable
from capgen.metrics.score_report import ScoreReport

SAMPLES = 1000
LEVEL = 0.95

# Their corpus scores are not the means of the images' scores, but come from summed counts.
_FROM_COUNTS = frozenset([*bleu.NAMES, resources.NAME])
# Per-image scores closer than this are a tie.
_TIE = 1e-9
# Images drawn at once; limits the memory of resampling to 32 MiB.
_DRAWS_AT_ONCE = 4_000_000


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A corpus score with a confidence interval.

    Attributes:
        value: The score.
        low: Lower end of the interval.
        high: Upper end.
        level: Confidence level, between 0 and 1.
    """

    value: float
    low: float
    high: float
    level: float = LEVEL

    def to_dict(self) -> dict[str, Any]:
        """Return the interval as built-in types."""
        return dataclasses.asdict(self)


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How two systems compare by one metric; differences are the first minus the second.

    Attributes:
        first: Corpus score of the first system.
        second: Corpus score of the second.
        difference: The interval of their difference.
        p_value: Two-sided p-value of the difference.
        wins: Number of images on which the first is better: scores higher, or lower where less
            is better. Of BLEU, images where neither has a matching n-gram are ties.
        ties: Number of images on which they score the same.
        losses: Number of images on which the second is better.
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
        """Return the comparison as built-in types, without the per-image differences."""
        record = dataclasses.asdict(self)
        del record["images"]
        return record


def confidence_intervals(
    report: ScoreReport, *, seed: int, samples: int = SAMPLES, level: float = LEVEL
) -> dict[str, Interval]:
    """Return a bootstrap interval for every corpus score.

    Args:
        report: The scores.
        seed: Seed of the resampling.
        samples: Number of resamples.
        level: Confidence level.
    """
    drawn, _ = _resampled([report], seed, samples)[0]
    return {
        name: _interval(value, drawn[name], level)
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

    Both systems are scored on the same resamples, so that images which are hard for both do not
    hide a difference.
    """
    _check_comparable(first, second)
    row = {image_id: index for index, image_id in enumerate(second.image_ids)}
    order = np.array([row[image_id] for image_id in first.image_ids])
    (drawn, plain), (other, other_plain) = _resampled([first, second], seed, samples, order)
    images_plain, other_images_plain = _plain_images(first), _plain_images(second)
    differences = {}
    for name in drawn:
        if name not in other:
            continue
        images = first.per_image[name] - second.per_image[name][order]
        resampled = drawn[name] - other[name]
        judged, tested = images, resampled
        if name in plain:  # where neither has a match of BLEU, neither is better
            judged = images_plain[name] - other_images_plain[name][order]
            tested = plain[name] - other_plain[name]
        better = -judged if name in LOWER_IS_BETTER else judged
        differences[name] = Difference(
            first=first.corpus[name],
            second=second.corpus[name],
            difference=_interval(first.corpus[name] - second.corpus[name], resampled, level),
            p_value=_p_value(tested),
            wins=int((better > _TIE).sum()),
            ties=int((abs(better) <= _TIE).sum()),
            losses=int((better < -_TIE).sum()),
            images=images,
        )
    return differences


def _interval(value: float, resampled: Floats, level: float) -> Interval:
    low, high = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value=value, low=float(low), high=float(high), level=level)


def _p_value(differences: Floats) -> float:
    """Return twice the smaller share of resamples on one side of zero, zero included.

    One is added to both counts because a finite number of resamples cannot show a p-value of 0.
    """
    side = min((differences <= 0).sum(), (differences >= 0).sum())
    return min(1.0, 2 * (1 + int(side)) / (1 + len(differences)))


def _check_comparable(first: ScoreReport, second: ScoreReport) -> None:
    unshared = sorted(set(first.image_ids) ^ set(second.image_ids))
    if unshared:
        raise MetricError(
            f"The reports cover different images: only one of them has {some_images(unshared)}"
        )
    fields = (
        *("protocol", "tokenizer", "tokenizer_version", "references_digest"),
        *("document_frequencies", "frequencies_digest"),
    )
    compared = {
        field: (getattr(first.stamp, field), getattr(second.stamp, field)) for field in fields
    }
    # Of a metric that only one of them has, nothing is compared.
    one, other = first.stamp.evidence, second.stamp.evidence
    compared |= {f"evidence of {name}": (one[name], other[name]) for name in one if name in other}
    for field, values in compared.items():
        if values[0] != values[1]:
            raise MetricError(
                f"The reports cannot be compared: the {field.replace('_', ' ')} is "
                f"{values[0]!r} in one and {values[1]!r} in the other",
                hint="Score both with the same references and settings.",
            )


def _resampled(
    reports: list[ScoreReport], seed: int, samples: int, order: Any = slice(None)
) -> list[tuple[Mapping[str, Floats], Mapping[str, Floats]]]:
    """Return name → (samples,) corpus scores of each report; `order` sorts all but the first.

    The second mapping of each has BLEU without the official scorer's constants.
    """
    images = len(reports[0].image_ids)
    orders = [slice(None)] + [order] * (len(reports) - 1)
    drawn: list[dict[str, list[Floats]]] = [
        {name: [] for name in report.corpus if _can_be_resampled(name, report)}
        for report in reports
    ]
    plain: list[dict[str, list[Floats]]] = [{} for _ in reports]
    for counts in _draws(images, samples, seed):
        for report, rows, parts, plain_parts in zip(reports, orders, drawn, plain, strict=True):
            if report.bleu_statistics is not None:
                sums = counts @ report.bleu_statistics[rows]
                scores = bleu.bleu_scores(sums)
                others = bleu.without_constants(scores, sums)
                for name, column, other in zip(bleu.NAMES, scores.T, others.T, strict=True):
                    parts[name].append(column)
                    plain_parts.setdefault(name, []).append(other)
            if report.meteor_statistics is not None:
                sums = counts @ summable(report.meteor_statistics)[rows]
                parts[resources.NAME].append(meteor_scores(sums))
            for name, counted in report.ratios.items():
                sums = counts @ counted[rows]
                parts[name].append(sums[:, 0] / np.maximum(sums[:, 1], 1))
            for name in parts:
                if name not in _FROM_COUNTS and name not in report.ratios:
                    parts[name].append(counts @ report.per_image[name][rows] / images)
    return [(_joined(parts), _joined(more)) for parts, more in zip(drawn, plain, strict=True)]


def _joined(parts: Mapping[str, list[Floats]]) -> dict[str, Floats]:
    return {name: np.concatenate(arrays) for name, arrays in parts.items()}


def _plain_images(report: ScoreReport) -> dict[str, Floats]:
    """Return the (images,) BLEU scores without the official scorer's constants."""
    statistics = report.bleu_statistics
    if statistics is None:
        return {}
    scores = bleu.without_constants(bleu.bleu_scores(statistics), statistics)
    return dict(zip(bleu.NAMES, scores.T, strict=True))


def _can_be_resampled(name: str, report: ScoreReport) -> bool:
    """Whether what the score comes from is in the report."""
    return name != resources.NAME or report.meteor_statistics is not None


def _draws(images: int, samples: int, seed: int) -> Iterator[Floats]:
    """Yield (resamples, images) arrays: how often each resample contains each image."""
    generator = np.random.default_rng(seed)
    at_once = max(1, _DRAWS_AT_ONCE // images)
    for start in range(0, samples, at_once):
        size = min(at_once, samples - start)
        drawn = generator.integers(images, size=(size, images))
        drawn += images * np.arange(size)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=size * images)
        yield counts.reshape(size, images).astype(np.float64)


def resamples(images: int, samples: int, seed: int) -> Iterator[Floats]:
    """Yield (resamples, images) arrays: how often each of `samples` resamples has each image.

    They are the resamples of `confidence_intervals` and `compare` with the same seed.
    """
    return _draws(images, samples, seed)
