"""Run a captioner, or a file of predictions, over a split and score it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from capgen.captioning.captioner import Captioner
from capgen.config import DecodeOptions, EvalConfig
from capgen.data.dataset import Dataset, load_dataset
from capgen.errors import MetricError
from capgen.evaluation.evaluation_set import EvaluationSet, from_dataset
from capgen.evaluation.events import (
    EvaluationEvent,
    EvaluationFinished,
    PhotoCaptioned,
    PhotoFailed,
    ScoringStarted,
)
from capgen.evaluation.systems import System, as_system
from capgen.metrics.bootstrap import Interval, confidence_intervals
from capgen.metrics.cider import DocumentFrequencies
from capgen.metrics.score import ScoreReport, check_metrics, score
from capgen.records import SCHEMA_VERSION, Caption, CaptionFailure

Data = EvaluationSet | Dataset | str | os.PathLike[str]
Source = System | Captioner | Mapping[str, str] | str | os.PathLike[str] | None


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Captions of a split and their scores.

    Attributes:
        system: What made the captions, as `System.describe` has it.
        data: What they were judged against.
        captions: Photo → caption, for the photos that were scored.
        records: Photo → the model's record; empty for predictions from a file.
        failures: Photo → why it has no caption; such photos are not scored.
        scores: The scores.
        intervals: Metric → bootstrap interval of its corpus score.
        config: How captions were judged.
        document_frequencies: The table that CIDEr-D was given, if any.
    """

    system: Mapping[str, Any]
    data: EvaluationSet
    captions: Mapping[str, str] = field(repr=False)
    records: Mapping[str, Caption] = field(default_factory=dict, repr=False)
    failures: Mapping[str, CaptionFailure] = field(default_factory=dict)
    scores: ScoreReport
    intervals: Mapping[str, Interval]
    config: EvalConfig
    document_frequencies: DocumentFrequencies | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """What made the captions, in a word."""
        return str(self.system["name"])

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the numbers should know, in plain words."""
        asked, scored = len(self.data.examples), len(self.captions)
        if asked == scored:
            return self.scores.notes
        failed = len(self.failures)
        reasons = [f"{failed:,} have no caption"] if failed else []
        if failed < asked - scored:
            reasons.append(f"{asked - scored - failed:,} have none by the other system")
        note = f"Scores are over {scored:,} of {asked:,} photos: {', '.join(reasons)}."
        return (note, *self.scores.notes)

    def of(self, image_id: str) -> dict[str, float]:
        """Return the scores of one photo, by metric."""
        place = self.scores.image_ids.index(image_id)
        return {name: float(values[place]) for name, values in self.scores.per_image.items()}

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form: built-in types only, the same for the same captions."""
        scores = self.scores.to_dict()
        images = [
            {"image_id": row.pop("image_id"), "caption": caption, "scores": row}
            for row, caption in zip(scores["images"], self.captions.values(), strict=True)
        ]
        return {
            "schema_version": SCHEMA_VERSION,
            "kind": "evaluation",
            "system": dict(self.system),
            "data": self.data.to_dict(),
            "config": {
                "resamples": self.config.resamples,
                "report_seed": self.config.report_seed,
            },
            "corpus": scores["corpus"],
            "intervals": {name: item.to_dict() for name, item in self.intervals.items()},
            "language": scores["language"],
            "notes": list(self.notes),
            "stamp": {**scores["stamp"], "versions": self._versions()},
            "images": images,
            "failures": [
                {"image_id": image_id, **failure.to_dict()}
                for image_id, failure in self.failures.items()
            ],
        }

    def _versions(self) -> dict[str, str]:
        engine = {"onnx": "onnxruntime", "torch": "torch"}.get(self.system.get("runtime", ""))
        packages = ["numpy", *([engine] if engine else [])]
        found = {name: importlib.metadata.version(name) for name in packages}
        return {
            **self.scores.stamp.versions,
            **found,
            "python": platform.python_version(),
        }


def evaluate(
    source: Source,
    data: Data,
    *,
    options: DecodeOptions | None = None,
    config: EvalConfig | None = None,
    document_frequencies: DocumentFrequencies | None = None,
) -> Evaluation:
    """Caption a split and score the captions, or score captions that are there.

    Args:
        source: A model's name or folder (None is the bundled one), a loaded `Captioner`, a
            .json or .jsonl file of predictions, captions by photo, or a `System`.
        data: A data set, by name, path or loaded, or an `EvaluationSet`.
        options: How a model decodes.
        config: Split, limit, metrics and bootstrap. An `EvaluationSet` has a split already.
        document_frequencies: A table for CIDEr-D instead of the references' own.

    Raises:
        CapgenError: Model, data or predictions cannot be used; the message says which.

    Example:
        >>> report = evaluate("mini", "flickr8k", options=DecodeOptions(beams=3))
        >>> report.scores.corpus["CIDEr-D"], report.intervals["CIDEr-D"]
    """
    events = evaluation_events(
        source, data, options=options, config=config, document_frequencies=document_frequencies
    )
    finished = [event for event in events if isinstance(event, EvaluationFinished)]
    return finished[0].evaluation


def evaluation_events(
    source: Source,
    data: Data,
    *,
    options: DecodeOptions | None = None,
    config: EvalConfig | None = None,
    document_frequencies: DocumentFrequencies | None = None,
) -> Iterator[EvaluationEvent]:
    """As `evaluate`, but yield what happens; the last event carries the result.

    Yields:
        One event a photo, one before scoring, and one at the end.
    """
    config = config or EvalConfig()
    check_metrics(config.metric_names)
    judged = as_evaluation_set(data, config)
    system = as_system(source, options, batch_size=config.batch_size)
    captions: dict[str, str] = {}
    records: dict[str, Caption] = {}
    failures: dict[str, CaptionFailure] = {}
    total = len(judged.examples)
    for done, (image_id, outcome) in enumerate(system.captions(judged), start=1):
        if isinstance(outcome, CaptionFailure):
            failures[image_id] = outcome
            yield PhotoFailed(image_id=image_id, failure=outcome, done=done, total=total)
            continue
        if isinstance(outcome, Caption):
            records[image_id] = outcome
        captions[image_id] = outcome if isinstance(outcome, str) else outcome.text
        yield PhotoCaptioned(image_id=image_id, caption=captions[image_id], done=done, total=total)
    if not captions:
        raise MetricError(f"None of the {total} photos could be captioned: nothing to score")
    yield ScoringStarted(images=len(captions))
    scores, intervals = scored(captions, judged, config, document_frequencies)
    evaluation = Evaluation(
        system=system.describe(),
        data=judged,
        captions=captions,
        records=records,
        failures=failures,
        scores=scores,
        intervals=intervals,
        config=config,
        document_frequencies=document_frequencies,
    )
    yield EvaluationFinished(evaluation=evaluation)


def as_evaluation_set(data: Data, config: EvalConfig) -> EvaluationSet:
    """Return what `data` means as an evaluation set, with the limit of `config`.

    Raises:
        DataError: The data set is not there or malformed.
        UsageError: There is no such split.
    """
    if isinstance(data, str | os.PathLike):
        data = load_dataset(data if isinstance(data, str) else Path(data))
    if isinstance(data, Dataset):
        data = from_dataset(data, config.split)
    return data if config.limit is None else data.limited(config.limit)


def scored(
    captions: Mapping[str, str],
    data: EvaluationSet,
    config: EvalConfig,
    document_frequencies: DocumentFrequencies | None,
) -> tuple[ScoreReport, dict[str, Interval]]:
    """Score captions of some photos of a set, with intervals.

    Raises:
        MetricError: They cannot be scored.
        UsageError: There is no such metric.
    """
    references = {image_id: data.by_id[image_id].references for image_id in captions}
    report = score(
        captions,
        references,
        metrics=config.metric_names,
        document_frequencies=document_frequencies,
        training_captions=data.known,
    )
    intervals = confidence_intervals(report, seed=config.report_seed, samples=config.resamples)
    return report, intervals
