"""Compare two evaluations over the same images: which is better, by how much, and where."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from capgen.errors import MetricError
from capgen.evaluation.chosen_images import ranking_metric
from capgen.evaluation.evaluate import scored
from capgen.evaluation.result import Evaluation
from capgen.metrics import bootstrap, n_best
from capgen.metrics.bootstrap import Difference
from capgen.records import SCHEMA_VERSION


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """How two systems compare.

    Attributes:
        first: The first evaluation, over the images that both systems captioned.
        second: The second, over the same images.
        differences: Metric → first minus second, with interval, p-value, wins and losses.
    """

    first: Evaluation
    second: Evaluation
    differences: Mapping[str, Difference]

    @property
    def notes(self) -> tuple[str, ...]:
        """Caveats about the numbers, as sentences."""
        return tuple(dict.fromkeys((*self.first.notes, *self.second.notes, *self._caveats)))

    @property
    def _caveats(self) -> tuple[str, ...]:
        """What makes some of the scores no fair comparison."""
        if n_best.SELF_CIDER_NAME not in self.differences:
            return ()
        first, second = self.first.captions_per_image, self.second.captions_per_image
        if first == second:
            return ()
        return (
            f"The first system has {first:.3g} captions per image and the second {second:.3g}: "
            "scores of diversity depend on that.",
        )

    def disagreements(self, count: int) -> list[tuple[str, float]]:
        """Return the `count` images with the largest differences (first minus second).

        The scores are those of the ranking metric; images with equal scores are left out.
        """
        found = self.differences.get(ranking_metric(self.first.scores))
        if found is None:  # a score that is undefined
            return []
        difference = found.images
        order = np.argsort(-abs(difference), kind="stable")[:count]
        ids = self.first.scores.image_ids
        # Equal captions may differ in the last digit.
        return [(ids[row], float(difference[row])) for row in order if abs(difference[row]) > 1e-9]

    def to_dict(self, count: int = 20) -> dict[str, Any]:
        """Return the JSON form, with the `count` largest disagreements."""
        return {
            "schema_version": SCHEMA_VERSION,
            "kind": "comparison",
            "images": len(self.first.captions),
            "differences": {name: item.to_dict() for name, item in self.differences.items()},
            "disagreements": {
                "metric": ranking_metric(self.first.scores),
                "images": [
                    {
                        "image_id": image_id,
                        "difference": value,
                        "first": self.first.captions[image_id],
                        "second": self.second.captions[image_id],
                    }
                    for image_id, value in self.disagreements(count)
                ],
            },
            "notes": list(self.notes),
            "first": self.first.to_dict(),
            "second": self.second.to_dict(),
        }


def compare(first: Evaluation, second: Evaluation) -> Comparison:
    """Compare two evaluations over the same images.

    Images that one of the systems could not caption are left out of both.

    Args:
        first: One evaluation, as `evaluate` returns it.
        second: The other, with the same references, metrics and bootstrap settings.

    Raises:
        MetricError: The images, references or scoring settings differ.
    """
    unshared = set(first.data.by_id) ^ set(second.data.by_id)
    if unshared:
        raise MetricError(
            f"The evaluations cover different images: {len(unshared)} are in only one of them, "
            f"such as {min(unshared)!r}",
            hint="Evaluate both on the same split, with the same --limit.",
        )
    common = first.captions.keys() & second.captions.keys()
    if not common:
        raise MetricError("No image was captioned by both systems")
    first, second = _restricted(first, common), _restricted(second, common)
    config = first.config
    differences = bootstrap.compare(
        first.scores, second.scores, seed=config.report_seed, samples=config.resamples
    )
    return Comparison(first=first, second=second, differences=differences)


def _restricted(evaluation: Evaluation, images: set[str]) -> Evaluation:
    """Return the evaluation over `images` only, scored again."""
    if len(images) == len(evaluation.captions):
        return evaluation
    captions = {name: text for name, text in evaluation.captions.items() if name in images}
    # What failed once would only take its time again.
    left_out = evaluation.scores.left_out
    unavailable = {metric: left_out[metric] for metric in evaluation.scores.failed}
    scores, intervals = scored(
        captions,
        evaluation.data,
        evaluation.config,
        evaluation.document_frequencies,
        dataclasses.replace(evaluation.evidence, unavailable=unavailable),
    )
    return dataclasses.replace(evaluation, captions=captions, scores=scores, intervals=intervals)
