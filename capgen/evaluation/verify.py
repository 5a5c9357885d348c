"""Score the captions of a report again, and compare every digit."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import capgen.metrics.bleu as bleu
from capgen.config import EvalConfig
from capgen.errors import MetricError
from capgen.evaluation.compare import compare
from capgen.evaluation.evaluate import scored
from capgen.evaluation.evaluation_set import EvaluationSet
from capgen.evaluation.evidence import gather_evidence, scene_objects
from capgen.evaluation.reported import ReportedEvaluation
from capgen.evaluation.result import Evaluation
from capgen.metrics.cider import DocumentFrequencies
from capgen.metrics.definitions import METRICS
from capgen.metrics.evidence import Evidence
from capgen.metrics.programs import nothing_computed
from capgen.metrics.score import check_metrics, unique_captions
from capgen.metrics.tokenizers import PTB
from capgen.records import SCHEMA_VERSION

T = TypeVar("T")
_STAMPED = (
    *("images", "references", "references_digest", "captions_digest", "tokenizer"),
    *("tokenizer_version", "document_frequencies", "frequencies_digest"),
)
_OF_DATA = ("digest", "sha256")
# Version 0.1 called one of two systems better where neither has a matching n-gram of BLEU.
_JUDGED_OTHERWISE = frozenset({"p_value", "wins", "ties", "losses"})


@dataclass(frozen=True, kw_only=True)
class Unlike:
    """A value of a report that is another one now; None where there is none."""

    where: str
    reported: Any
    computed: Any


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What scoring a report's captions again gave.

    Attributes:
        name: The system that made the captions.
        values: How many values of the report were compared.
        unlike: Those that are other ones now.
        unchecked: Metrics that could not be computed again, with the reasons.
        evaluation: The captions as they were scored again.
    """

    name: str
    values: int
    unlike: tuple[Unlike, ...]
    unchecked: Mapping[str, str]
    evaluation: Evaluation = field(repr=False)

    @property
    def holds(self) -> bool:
        """Whether every digit of the report was computed again, and is the same."""
        return not self.unlike and not self.unchecked

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "schema_version": SCHEMA_VERSION,
            "kind": "verification",
            "name": self.name,
            "holds": self.holds,
            "values": self.values,
            "unlike": [dataclasses.asdict(item) for item in self.unlike],
            "unchecked": dict(self.unchecked),
        }


def verify(
    report: ReportedEvaluation,
    data: EvaluationSet,
    *,
    document_frequencies: DocumentFrequencies | None = None,
    config: EvalConfig | None = None,
    device: str = "auto",
    first: Evaluation | None = None,
) -> Verification:
    """Score the captions of a report again, as its stamp says they were scored.

    Args:
        report: The report.
        data: What the captions were scored on.
        document_frequencies: The table that CIDEr-D used, if any.
        config: How long official programs may take, and the files and the model that metrics
            need; the rest is taken from the report.
        device: Where a model of a metric computes.
        first: The first system of a comparison, scored again: then the differences from it are
            compared, too.

    Raises:
        MetricError: The data are not of the report's images.
    """
    record = report.record
    stamp = record["stamp"]
    captions = unique_captions((row["image_id"], row["caption"]) for row in record["images"])
    strangers = [image for image in captions if image not in data.by_id]
    if strangers:
        raise MetricError(
            f"{data.name} has no image {strangers[0]!r}, which the report of {report.name} has",
            hint="Name what the report was scored on.",
        )
    given = config or EvalConfig()
    metrics, unchecked = _metrics(stamp, given)
    objects = scene_objects(dataclasses.replace(given, metrics=",".join(metrics)), data)
    if "chair" in metrics:
        unchecked |= _other_objects(stamp, Evidence(objects=objects))
    settings = dataclasses.replace(
        given,
        metrics=",".join(name for name in metrics if name not in unchecked),
        **_models(record, given),
        # Reports from before there were several have PTB's.
        tokenizer=str(stamp.get("tokenizer_key", PTB)),
        # Nor did they leave out metrics by language.
        language=str(stamp.get("language", "en")),
        **{name: record["config"][name] for name in ("resamples", "report_seed")},
    )
    if not settings.metrics:
        raise nothing_computed(unchecked, {})
    known = Evidence(alternatives=report.alternatives, objects=objects, java=settings.java)
    evidence = _result(gather_evidence(captions, data, settings, known, device=device))
    scores, intervals = scored(captions, data, settings, document_frequencies, evidence)
    unchecked |= scores.left_out
    evaluation = Evaluation(
        system={**record["system"], "name": report.name},
        data=data,
        captions=captions,
        scores=scores,
        intervals=intervals,
        config=settings,
        document_frequencies=document_frequencies,
        evidence=evidence,
    )
    pairs = list(_compared(record, evaluation, complete=not unchecked))
    if first is not None:
        pairs += _differences(report, first, evaluation, complete=not unchecked)
    unlike = [
        Unlike(where=where, reported=a, computed=b)
        for where, a, b in pairs
        if _or_none(a) != _or_none(b)
    ]
    return Verification(
        name=report.name,
        values=len(pairs),
        unlike=tuple(unlike),
        unchecked=unchecked,
        evaluation=evaluation,
    )


def _metrics(stamp: Mapping[str, Any], config: EvalConfig) -> tuple[list[str], dict[str, str]]:
    """Return the metrics of a report, and those that cannot be computed, with the reasons."""
    named = list(stamp["definitions"])
    unchecked = {
        name: "This version of capgen does not have it." for name in named if name not in METRICS
    }
    known = [name for name in named if name in METRICS]
    if not known:
        raise MetricError("The report has no metric that this version of capgen computes")
    unchecked |= check_metrics(known, config.java)
    return [name for name in known if name not in unchecked], unchecked


def _other_objects(stamp: Mapping[str, Any], evidence: Evidence) -> dict[str, str]:
    """Return why CHAIR cannot be computed again, if it had other objects."""
    reported = _some(stamp.get("evidence", {}), ("chair",)).get("chair")
    if reported == evidence.sources(["chair"])["chair"]:
        return {}
    return {"chair": f"It had {reported}: name these with --objects and --instances."}


def _models(record: Mapping[str, Any], given: EvalConfig) -> dict[str, Any]:
    """Return the models of metrics: those that are named, or else those of a report."""
    used, default = record["config"], EvalConfig()
    return {
        name: used.get(name, named) if named == getattr(default, name) else named
        for name in ("clip_model", "bert_model", "bert_layer")
        for named in (getattr(given, name),)
    }


def _result(events: Generator[object, None, T]) -> T:
    """Return what a generator returns at its end."""
    while True:
        try:
            next(events)
        except StopIteration as end:
            result: T = end.value
            return result


def _compared(
    record: Mapping[str, Any], evaluation: Evaluation, *, complete: bool
) -> Iterator[tuple[str, Any, Any]]:
    """Yield the name of each value of a report, the value, and what it is now.

    What could not be computed is left out, unless the scores are `complete`.
    """
    computed = evaluation.scores.to_dict()
    rows = {row["image_id"]: row for row in computed["images"]}
    ends = {name: interval.to_dict() for name, interval in evaluation.intervals.items()}

    def there(reported: Mapping[str, Any]) -> dict[str, Any]:
        return {k: v for k, v in reported.items() if complete or k in computed["corpus"]}

    # What the scores depend on is first: where it differs, that is why they do.
    yield from _pairs("stamp", _some(record["stamp"], _STAMPED), computed["stamp"])
    yield from _pairs("data", _some(record["data"], _OF_DATA), evaluation.data.to_dict())
    yield from _pairs("corpus", there(record["corpus"]), computed["corpus"])
    yield from _pairs("interval", there(record["intervals"]), ends)
    yield from _pairs("language", record["language"], computed["language"])
    for row in record["images"]:
        yield from _pairs(f"image {row['image_id']}", there(row["scores"]), rows[row["image_id"]])


def _differences(
    report: ReportedEvaluation, first: Evaluation, second: Evaluation, *, complete: bool
) -> Iterator[tuple[str, Any, Any]]:
    """Yield the same of the differences from the first system, unless they miss a metric."""
    if not report.differences:
        return
    found = compare(first, second).differences
    now = {name: difference.to_dict() for name, difference in found.items()}
    there = {name: item for name, item in report.differences.items() if complete or name in now}
    versions = report.record["stamp"].get("versions")
    otherwise = isinstance(versions, Mapping) and str(versions.get("capgen")).startswith("0.1.")
    for where, reported, computed in _pairs("difference", there, now):
        words = where.split()
        if not (otherwise and words[1] in bleu.NAMES and words[-1] in _JUDGED_OTHERWISE):
            yield where, reported, computed


def _pairs(
    where: str, reported: Mapping[str, Any], computed: Mapping[str, Any]
) -> Iterator[tuple[str, Any, Any]]:
    """Yield the name of each value of a report, the value, and what it is now."""
    for name, value in reported.items():
        now = computed.get(name)
        if isinstance(value, Mapping):
            yield from _pairs(f"{where} {name}", value, now if isinstance(now, Mapping) else {})
        else:
            yield f"{where} {name}", value, now


def _or_none(value: Any) -> Any:
    """Return None for NaN, as older reports have where a score is undefined."""
    return None if value != value else value


def _some(record: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: record[name] for name in names if name in record}
