"""The evaluations in `capgen.json`: scores, and the images they were computed on.

    "metrics": {"test": {"dataset": "flickr8k", "split": "test", "images": 1000, "CIDEr-D": …}}

Without `dataset` and `split`, the key is the split, of the data set that the model was trained
on. An evaluation on several data sets has the mean, and each of them under `sets`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from capgen.models.provenance import Provenance

# Numbers beside the scores.
_NO_SCORES = ("images", "references", "beams", "loss")


@dataclass(frozen=True, kw_only=True)
class RecordedEvaluation:
    """The scores on one split.

    Attributes:
        dataset: Name of the data set; for a mean over several, the names of all.
        split: Its split.
        scores: Corpus scores by metric.
        images: Number of images, or None if it is not recorded.
        split_images: Number of images in the whole split, or None if it is not recorded.
        protocol: How the scores were computed: text, or settings by name.
        parts: Number of data sets that the scores are the mean over; 0 for one data set.
    """

    dataset: str
    split: str
    scores: Mapping[str, float]
    images: int | None = None
    split_images: int | None = None
    protocol: Any = ""
    parts: int = 0

    @property
    def partial(self) -> bool:
        """Whether only some images of the split were scored (`--limit`)."""
        return None not in (self.images, self.split_images) and self.images != self.split_images

    @property
    def images_text(self) -> str:
        """The number of images, and of how many if not all were scored; empty if unknown."""
        if self.images is None:
            return ""
        return f"{self.images:,} of {self.split_images:,}" if self.partial else f"{self.images:,}"


def recorded_evaluations(provenance: Provenance) -> list[RecordedEvaluation]:
    """Return the evaluations with scores, in order; a mean comes before its parts."""
    trained_on = _text(provenance.data.get("name")) or "unnamed"
    sizes = _split_sizes(provenance.data)
    return [
        replace(evaluation, split_images=sizes.get((evaluation.dataset, evaluation.split)))
        for key, figures in provenance.metrics.items()
        if isinstance(figures, Mapping)
        for evaluation in _with_parts(figures, trained_on, key)
        if evaluation.scores
    ]


def _with_parts(
    figures: Mapping[str, Any], dataset: str, split: str
) -> Iterator[RecordedEvaluation]:
    """Yield an evaluation and its parts; `dataset` and `split` are the defaults."""
    sets = figures.get("sets")
    named = sets.items() if isinstance(sets, Mapping) else ()
    parts = {name: part for name, part in named if isinstance(part, Mapping)}
    dataset = _text(figures.get("dataset")) or dataset
    split = _text(figures.get("split")) or split
    images = figures.get("images")
    if len(parts) != 1:  # the mean over one is that one
        yield RecordedEvaluation(
            dataset=dataset,
            split=split,
            scores=_scores(figures),
            images=images if isinstance(images, int) else None,
            protocol=figures.get("protocol") or figures.get("scorer") or "",
            parts=len(parts),
        )
    for name, part in parts.items():
        yield from _with_parts(part, name, split)


def _split_sizes(data: Mapping[str, Any]) -> dict[tuple[str, str], int]:
    """Return the images in each split of the data sets that a model was trained on."""
    sets = data.get("sets")
    records = [data, *(sets if isinstance(sets, list) else ())]
    return {
        (_text(record.get("name")), split): count
        for record in records
        if isinstance(record, Mapping) and isinstance(record.get("counts"), Mapping)
        for split, count in record["counts"].items()
        if isinstance(count, int)
    }


def _scores(figures: Mapping[str, Any]) -> dict[str, float]:
    return {
        name: float(value)
        for name, value in figures.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and name not in _NO_SCORES
    }


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
