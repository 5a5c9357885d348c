"""Compare several models over the same images: scores, differences, parameters, size, speed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from capgen.addresses import is_url, without_credentials
from capgen.captioning.captioner import Captioner
from capgen.config import DecodeOptions, EvalConfig, ModelOptions
from capgen.errors import UsageError
from capgen.evaluation.compare import Comparison, compare
from capgen.evaluation.evaluate import evaluation_events
from capgen.evaluation.evaluation_set import EvaluationSet
from capgen.evaluation.events import EvaluationEvent, EvaluationFinished
from capgen.evaluation.result import Evaluation
from capgen.evaluation.systems import ModelSystem, is_predictions
from capgen.evaluation.word_recall import WordRecalls, word_recalls
from capgen.models.folder import ModelFolder
from capgen.paths import is_file, runs_dir
from capgen.records import SCHEMA_VERSION
from capgen.registry.entries import ModelEntry, served_entry
from capgen.registry.learning_curves import LearningCurves, learning_curves
from capgen.registry.listing import find_model, run_checkpoints
from capgen.registry.speed import Speed, SpeedOptions, measure

DISAGREEMENTS = 20


@dataclass(frozen=True, kw_only=True)
class ModelComparison:
    """Several models over the same images.

    Attributes:
        entries: The models, in the order given.
        evaluations: The evaluation of each.
        comparisons: The first model compared with each of the others; differences are the
            first minus the other.
        speeds: Name → speed; empty if it was not measured.
        words: Which words each model says and misses; None if the captions are not in English.
        learning: The learning curves of the models that are from training runs.
        left_out: Sentences on checkpoints of a named run that are not compared.
    """

    entries: tuple[ModelEntry, ...]
    evaluations: tuple[Evaluation, ...]
    comparisons: tuple[Comparison, ...]
    speeds: Mapping[str, Speed]
    words: WordRecalls | None = None
    learning: LearningCurves = field(default_factory=LearningCurves)
    left_out: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """Caveats about the numbers, as sentences."""
        notes = list(self.left_out)
        notes += [note for comparison in self.comparisons for note in comparison.notes]
        if len(self.comparisons) > 1:
            notes.append(
                f"The p-values of the {len(self.comparisons)} comparisons are not corrected for "
                "multiple testing: with many models, some are low by chance."
            )
        return tuple(dict.fromkeys(notes))

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
        comparisons = [
            {**item.to_dict(count), "first": item.first.name, "second": item.second.name}
            for item in self.comparisons
        ]
        return {
            "schema_version": SCHEMA_VERSION,
            "kind": "model_comparison",
            "models": models,
            "comparisons": comparisons,
            "words": None if self.words is None else self.words.to_dict(),
            "learning_curves": [run.to_dict() for run in self.learning.runs],
            "notes": list(self.notes),
        }


@dataclass(frozen=True)
class ModelStarted:
    """A model is about to caption `images` images."""

    name: str
    images: int


@dataclass(frozen=True)
class ComparisonFinished:
    """The comparison is complete."""

    comparison: ModelComparison


ComparisonEvent = ModelStarted | EvaluationEvent | ComparisonFinished


@dataclass(frozen=True)
class ChosenModels:
    """The models to compare.

    Attributes:
        names: The models.
        left_out: Sentences on checkpoints of a named run that are not compared.
    """

    names: tuple[str, ...]
    left_out: tuple[str, ...] = ()


def choose_models(names: Sequence[str]) -> ChosenModels:
    """Choose the models to compare; the name of a run stands for its best-eval and best-loss.

    Where both are from the same epoch they are one model, and best-loss is left out.

    Raises:
        UsageError: There are fewer than two models, one is named twice, or one is a file of
            captions.
    """
    file = next((name for name in names if is_predictions(name) and is_file(Path(name))), None)
    if file is not None:
        raise UsageError(
            f"{file} is a file; a model is a folder",
            hint="Captions in files are compared by `capgen eval --predictions A --compare B`.",
        )
    models: list[str] = []
    twins: list[tuple[str, str]] = []
    for name in names:
        best = _best(name)
        same = _same_models(best)
        models += [item for item in best if item not in same] or [name]
        twins += [(item, best[0]) for item in same]
    if len(models) < 2:
        if twins:
            raise UsageError(
                f"{twins[0][1]} and {twins[0][0]} are the same model",
                hint="Name another one to compare it with.",
            )
        raise UsageError(
            "A comparison needs at least two models",
            hint="Name two or more, or a training run to compare its best-eval with its best-loss.",
        )
    shown = [_shown(name) for name in models]
    twice = {name for name in shown if shown.count(name) > 1}
    if twice:
        raise UsageError(f"'{min(twice)}' is named twice")
    return ChosenModels(
        tuple(models),
        tuple(f"{item} is the same model as {first}, and is left out." for item, first in twins),
    )


def _best(name: str) -> list[str]:
    return [item for item in run_checkpoints(name) if not item.endswith("/last")]


def _same_models(best: Sequence[str]) -> list[str]:
    """Return the best checkpoints of a run that are the same model as the first of them."""
    if len(best) < 2:
        return []
    first, *others = (ModelFolder(runs_dir() / item, item).fingerprint for item in best)
    return [item for item, other in zip(best[1:], others, strict=True) if other == first]


def _shown(name: str) -> str:
    """Return the name of a model in results: addresses may hold a password."""
    return without_credentials(name) if is_url(name) else name


def _runs_on(place: ModelOptions, name: str) -> ModelOptions:
    options = replace(place, model=name, revision=None, endpoint=None)
    if not options.served:
        return options
    return replace(options, runtime="auto", device="auto", dtype="auto")


def _load(options: ModelOptions) -> Captioner:
    try:
        return Captioner.from_options(options)
    except UsageError as error:  # an option that one of the models cannot have
        raise UsageError(
            f"{_shown(options.model or '')}: {error.message}", hint=error.hint
        ) from error


def comparison_events(
    names: Sequence[str] | ChosenModels,
    data: EvaluationSet,
    *,
    options: DecodeOptions | None = None,
    config: EvalConfig | None = None,
    runs_on: ModelOptions | None = None,
    speed: SpeedOptions | None = None,
) -> Iterator[ComparisonEvent]:
    """Caption the images with each model, and compare the models.

    Args:
        names: Two models or more (see `choose_models`).
        data: The images, with references.
        options: How the models decode; options left at None use each model's defaults.
        config: Metrics, bootstrap and batch size.
        runs_on: Where all models run and what they are asked; its model and revision are ignored.
        speed: How to measure the speed; None does not measure it.

    Yields:
        Progress events; the last is a `ComparisonFinished` with the result.
    """
    config, place = config or EvalConfig(), runs_on or ModelOptions()
    chosen = names if isinstance(names, ChosenModels) else choose_models(names)
    models = chosen.names
    entries = tuple(served_entry(name) if is_url(name) else find_model(name) for name in models)
    # Load all models first, so that a broken one is reported before an hour of captioning.
    captioners = {_shown(name): _load(_runs_on(place, name)) for name in models}
    evaluations: list[Evaluation] = []
    for name, captioner in captioners.items():
        yield ModelStarted(name, len(data.examples))
        system = ModelSystem(captioner, options, batch_size=config.batch_size)
        before = evaluations[0].evidence.unavailable if evaluations else None
        events = evaluation_events(
            system, data, config=config, device=place.device, unavailable=before
        )
        for event in events:
            yield event
            if isinstance(event, EvaluationFinished):
                evaluations.append(event.evaluation)
    speeds: dict[str, Speed] = {}
    if speed is not None:
        ids = list(evaluations[0].captions)[: speed.images]
        images = [data.by_id[image_id].image for image_id in ids]
        speeds = measure(captioners, images, options, rounds=speed.rounds)
    yield ComparisonFinished(
        ModelComparison(
            entries=entries,
            evaluations=tuple(evaluations),
            comparisons=tuple(compare(evaluations[0], other) for other in evaluations[1:]),
            speeds=speeds,
            words=word_recalls(evaluations),
            learning=learning_curves(entries),
            left_out=chosen.left_out,
        )
    )
