"""Evaluate a captioner or a predictions file on a split."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from capgen.captioning.captioner import Captioner
from capgen.config import DecodeOptions, EvalConfig
from capgen.data.dataset import Dataset, load_dataset
from capgen.errors import MetricError, UsageError
from capgen.evaluation.before_captioning import check_scoring, readable_metrics
from capgen.evaluation.evaluation_set import EvaluationSet, from_dataset
from capgen.evaluation.events import (
    EvaluationEvent,
    EvaluationFinished,
    ImageCaptioned,
    ImageFailed,
    MetricsLeftOut,
    ScoringStarted,
)
from capgen.evaluation.evidence import gather_evidence, scene_objects
from capgen.evaluation.judged_language import check_given_language, judged_language
from capgen.evaluation.result import Evaluation, others
from capgen.evaluation.systems import ModelSystem, System, as_system
from capgen.metrics.bertscore import bert_model
from capgen.metrics.bootstrap import Interval, confidence_intervals
from capgen.metrics.cider import DocumentFrequencies
from capgen.metrics.evidence import Evidence
from capgen.metrics.language import known_captions
from capgen.metrics.score import check_metrics, first_use_note, score_captions
from capgen.metrics.score_report import ScoreReport
from capgen.metrics.tokenizers import PTB, choose
from capgen.records import Caption, CaptionFailure

Data = EvaluationSet | Dataset | str | os.PathLike[str]
Source = System | Captioner | Mapping[str, str] | str | os.PathLike[str] | None


def evaluate(
    source: Source,
    data: Data,
    *,
    options: DecodeOptions | None = None,
    config: EvalConfig | None = None,
    document_frequencies: DocumentFrequencies | None = None,
    device: str = "auto",
) -> Evaluation:
    """Caption a split and score the captions, or score existing captions.

    Args:
        source: A model's name or folder (None for the bundled model), a loaded `Captioner`,
            a .json or .jsonl file of predictions, captions by image, or a `System`.
        data: A data set, by name, path or loaded, or an `EvaluationSet`.
        options: How a model decodes.
        config: Split, limit, metrics and bootstrap. An `EvaluationSet` already has a split.
        document_frequencies: Document frequencies for CIDEr-D; by default the references'.
        device: Where a model of a metric computes: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.

    Raises:
        CapgenError: The model, data or predictions cannot be used; the message says which.

    Example:
        >>> report = evaluate("mini", "flickr8k", options=DecodeOptions(beams=3))
        >>> report.scores.corpus["CIDEr-D"], report.intervals["CIDEr-D"]
    """
    events = evaluation_events(
        source,
        data,
        options=options,
        config=config,
        document_frequencies=document_frequencies,
        device=device,
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
    device: str = "auto",
    unavailable: Mapping[str, str] | None = None,
) -> Iterator[EvaluationEvent]:
    """Do what `evaluate` does, and yield progress events.

    Args:
        source: As for `evaluate`, and so are the following ones.
        data: What is captioned.
        options: How a model decodes.
        config: Split, limit, metrics and bootstrap.
        document_frequencies: Document frequencies for CIDEr-D.
        device: Where a model of a metric computes.
        unavailable: Metrics that turned out to be impossible before, with the reasons: the
            `evidence.unavailable` of another evaluation. They are not tried again.

    Yields:
        Events when metrics turn out to be impossible, one per image, those of models that metrics
        use, one before scoring, and an `EvaluationFinished` with the result.
    """
    config = config or EvalConfig()
    check_given_language(config.language)
    if "bertscore" in config.metric_names:  # an unknown layer is found out at once
        bert_model(config.language, config.bert_model, config.bert_layer)
    known_before = unavailable or {}
    wanted = [name for name in config.metric_names if name not in known_before]
    found = check_metrics(wanted, config.java)
    if found:
        yield MetricsLeftOut(reasons=found)
    eval_set = as_evaluation_set(data, config)
    objects = scene_objects(config, eval_set)
    system = as_system(source, options, batch_size=config.batch_size)
    if (
        "diversity" in config.metric_names
        and isinstance(system, ModelSystem)
        and not system.several
    ):
        raise UsageError(
            "The metric diversity needs several captions per image",
            hint="Add --num-captions 5, or --diverse 5, to `capgen eval`.",
        )
    if system.computes:
        useless = check_scoring(eval_set, config, document_frequencies, {**known_before, **found})
        if useless:
            yield MetricsLeftOut(reasons=useless)
        found |= useless
    captions: dict[str, str] = {}
    records: dict[str, Caption] = {}
    failures: dict[str, CaptionFailure] = {}
    total = len(eval_set.examples)
    for done, (image_id, outcome) in enumerate(system.captions(eval_set), start=1):
        if isinstance(outcome, CaptionFailure):
            failures[image_id] = outcome
            yield ImageFailed(image_id=image_id, failure=outcome, done=done, total=total)
            continue
        if isinstance(outcome, Caption):
            records[image_id] = outcome
        captions[image_id] = outcome if isinstance(outcome, str) else outcome.text
        yield ImageCaptioned(image_id=image_id, caption=captions[image_id], done=done, total=total)
    if not captions:
        raise MetricError(
            f"None of the {total} images could be captioned, so none can be scored",
            # A file of references says nothing of where the images are.
            hint="" if eval_set.split else "Give the folder of the images as --data-dir.",
        )
    alternatives = {name: texts for name, record in records.items() if (texts := others(record))}
    known = Evidence(
        alternatives=alternatives,
        objects=objects,
        java=config.java,
        unavailable={**known_before, **found},
    )
    evidence = yield from gather_evidence(captions, eval_set, config, known, device=device)
    left, _ = readable_metrics(eval_set, config, evidence.unavailable)
    yield ScoringStarted(images=len(captions), note=first_use_note(left))
    scores, intervals = scored(captions, eval_set, config, document_frequencies, evidence)
    evaluation = Evaluation(
        system=system.describe(),
        data=eval_set,
        captions=captions,
        records=records,
        failures=failures,
        scores=scores,
        intervals=intervals,
        config=config,
        document_frequencies=document_frequencies,
        evidence=evidence,
    )
    yield EvaluationFinished(evaluation=evaluation)


def as_evaluation_set(data: Data, config: EvalConfig) -> EvaluationSet:
    """Return `data` as an evaluation set, with the split and limit of `config`."""
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
    evidence: Evidence,
) -> tuple[ScoreReport, dict[str, Interval]]:
    """Return scores and bootstrap intervals of captions of some images of a set.

    Args:
        captions: Image → caption.
        data: The references; those of all its images decide on the language and the tokens.
        config: Metrics, language and bootstrap.
        document_frequencies: Document frequencies for CIDEr-D; by default the references'.
        evidence: What some metrics need besides, and which have failed already.
    """
    references = {image_id: data.by_id[image_id].references for image_id in captions}
    language, source = judged_language(data, config)
    tokenizer = choose(config.tokenizer, language, data.texts)
    training = data.known
    if tokenizer.key != PTB and data.training:
        training = known_captions(data.training, tokenizer.tokenize)
    report = score_captions(
        captions,
        references,
        metrics=config.metric_names,
        document_frequencies=document_frequencies,
        training_captions=training,
        language=language,
        tokenizer=tokenizer.key,
        evidence=evidence,
    )
    report = dataclasses.replace(
        report, stamp=dataclasses.replace(report.stamp, language_source=source)
    )
    intervals = confidence_intervals(report, seed=config.report_seed, samples=config.resamples)
    return report, intervals
