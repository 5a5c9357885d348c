"""Several models over the same images: scores, differences, parameters, size, speed.

Captioning, scoring and comparing are those of `capgen.evaluation`; here they are put together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from capgen.captioning.captioner import Captioner
from capgen.config import DecodeOptions, EvalConfig
from capgen.errors import UsageError
from capgen.evaluation.compare import Comparison, compare
from capgen.evaluation.evaluate import evaluation_events
from capgen.evaluation.evaluation_set import EvaluationSet
from capgen.evaluation.events import EvaluationEvent, EvaluationFinished
from capgen.evaluation.result import Evaluation
from capgen.evaluation.systems import ModelSystem
from capgen.records import SCHEMA_VERSION
from capgen.registry.entries import ModelEntry
from capgen.registry.listing import find_model, run_checkpoints
from capgen.registry.speed import Speed, measure

DISAGREEMENTS = 20


@dataclass(frozen=True, kw_only=True)
class ModelComparison:
    """Several models over the same images.

    Attributes:
        entries: The models, as they were named.
        evaluations: The evaluation of each.
        comparisons: The first model with each of the others; differences are the first minus
            the other.
        speeds: Name → speed, where it was measured.
    """

    entries: tuple[ModelEntry, ...]
    evaluations: tuple[Evaluation, ...]
    comparisons: tuple[Comparison, ...]
    speeds: Mapping[str, Speed]

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the numbers should know, in plain words."""
        found = [note for comparison in self.comparisons for note in comparison.notes]
        if len(self.comparisons) > 1:
            found.append(
                f"The p-values are those of {len(self.comparisons)} single comparisons: with "
                "many models, some are low by chance."
            )
        return tuple(dict.fromkeys(found))

    def to_dict(self, count: int = DISAGREEMENTS) -> dict[str, Any]:
        """Return the JSON form, with the `count` largest disagreements of each comparison."""
        models = [
            {
                **entry.to_dict(),
                "speed": self.speeds[entry.name].to_dict() if entry.name in self.speeds else None,
                "evaluation": evaluation.to_dict(),
            }
            for entry, evaluation in zip(self.entries, self.evaluations, strict=True)
        ]
        comparisons = []
        for comparison in self.comparisons:
            record = comparison.to_dict(count)
            record["first"], record["second"] = comparison.first.name, comparison.second.name
            comparisons.append(record)
        return {
            "schema_version": SCHEMA_VERSION,
            "kind": "model_comparison",
            "models": models,
            "comparisons": comparisons,
            "notes": list(self.notes),
        }


@dataclass(frozen=True)
class ModelStarted:
    """A model begins to caption the images.

    Attributes:
        name: The model.
        images: How many there are.
    """

    name: str
    images: int


@dataclass(frozen=True)
class ComparisonFinished:
    """All is measured."""

    comparison: ModelComparison


ComparisonEvent = ModelStarted | EvaluationEvent | ComparisonFinished


def models_to_compare(names: Sequence[str]) -> list[str]:
    """Return the models that `names` mean: a run alone is its best-eval and its best-loss.

    Raises:
        UsageError: There is only one model, or one is named twice.
    """
    found = [item for name in names for item in _two_best(name)]
    if len(found) < 2:
        raise UsageError(
            "One model alone cannot be compared",
            hint="Name two or more, or a training run to compare its best-eval with its best-loss.",
        )
    twice = {name for name in found if found.count(name) > 1}
    if twice:
        raise UsageError(f"'{min(twice)}' is named twice")
    return found


def _two_best(name: str) -> list[str]:
    known = [item for item in run_checkpoints(name) if not item.endswith("/last")]
    return known or [name]


def comparison_events(
    names: Sequence[str],
    data: EvaluationSet,
    *,
    options: DecodeOptions | None = None,
    config: EvalConfig | None = None,
    runtime: str = "auto",
    device: str = "auto",
    dtype: str = "auto",
    speed_photos: int = 0,
    speed_rounds: int = 1,
) -> Iterator[ComparisonEvent]:
    """Caption the images with each model, and compare.

    Args:
        names: Two models or more (see `models_to_compare`).
        data: The images, with references.
        options: How all of them decode; what is left open is each model's own default.
        config: Metrics, bootstrap and batch size.
        runtime: As for `Captioner.from_pretrained`, for all of them.
        device: Likewise.
        dtype: Likewise.
        speed_photos: Measure the speed with so many of the images; 0 does not.
        speed_rounds: Rounds of that.

    Yields:
        What happens; the last event carries the result.

    Raises:
        CapgenError: A model cannot be loaded, or the images cannot be scored.
    """
    config = config or EvalConfig()
    chosen = models_to_compare(names)
    entries = tuple(find_model(name) for name in chosen)
    # All are loaded first: one that cannot be is found out before an hour of captioning.
    captioners = {
        name: Captioner.from_pretrained(name, runtime=runtime, device=device, dtype=dtype)
        for name in chosen
    }
    evaluations = []
    for name, captioner in captioners.items():
        yield ModelStarted(name, len(data.examples))
        system = ModelSystem(captioner, options, batch_size=config.batch_size)
        for event in evaluation_events(system, data, config=config):
            yield event
            if isinstance(event, EvaluationFinished):
                evaluations.append(event.evaluation)
    images = [data.by_id[image_id].image for image_id in evaluations[0].captions][:speed_photos]
    speeds = measure(captioners, images, options, rounds=speed_rounds) if images else {}
    yield ComparisonFinished(
        ModelComparison(
            entries=entries,
            evaluations=tuple(evaluations),
            comparisons=tuple(compare(evaluations[0], other) for other in evaluations[1:]),
            speeds=speeds,
        )
    )
