"""Score the captions of a report again, and compare every digit."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capgen.config import EvalConfig
from capgen.data.cache.file_hashes import hash_files
from capgen.data.problems import stopping
from capgen.data.text_files import read_json
from capgen.errors import CapgenError, DataError, MetricError, UsageError
from capgen.evaluation.evaluate import scored
from capgen.evaluation.evaluation_set import EvaluationSet, evaluation_set
from capgen.metrics.bootstrap import Interval
from capgen.metrics.cider import DocumentFrequencies
from capgen.metrics.score import METRICS, ScoreReport, check_metrics, unique_captions
from capgen.metrics.tokenizers import PTB
from capgen.records import SCHEMA_VERSION

_STAMPED = (
    *("images", "references", "references_digest", "captions_digest", "tokenizer"),
    *("tokenizer_version", "document_frequencies", "frequencies_digest"),
)
_OF_DATA = ("digest", "sha256")


@dataclass(frozen=True, kw_only=True)
class ReportedEvaluation:
    """An evaluation as a report of `capgen eval --json` has it.

    Attributes:
        name: The system that made the captions.
        record: The evaluation.
    """

    name: str
    record: Mapping[str, Any]

    @property
    def data(self) -> Mapping[str, Any]:
        """What the captions were scored on, as `EvaluationSet.to_dict` has it."""
        return dict(self.record["data"])


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
    """

    name: str
    values: int
    unlike: tuple[Unlike, ...]
    unchecked: Mapping[str, str]

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


def read_report(path: Path) -> list[ReportedEvaluation]:
    """Return the evaluations in a report of `capgen eval` or `capgen models compare`.

    Raises:
        DataError: The file is not such a report.
    """
    content = read_json(path, stopping([]), unique_keys=True)
    kind = content.get("kind") if isinstance(content, dict) else None
    if kind == "evaluation":
        found = [content]
    elif kind == "comparison":
        found = [content.get("first"), content.get("second")]
    elif kind == "model_comparison":
        models = content.get("models")
        found = [model.get("evaluation") for model in models] if isinstance(models, list) else []
    else:
        found = []
    if not found or not all(map(_is_evaluation, found)):
        raise DataError(
            f"{path} is not a report of scores",
            hint="Give what --json of `capgen eval` or `capgen models compare` wrote.",
        )
    return [
        ReportedEvaluation(name=str(one["system"].get("name", "?")), record=one) for one in found
    ]


def data_of_report(
    report: ReportedEvaluation,
    place: Path,
    *,
    dataset: str | None = None,
    data_dir: Path | None = None,
    references: Path | None = None,
) -> EvaluationSet:
    """Open what a report's captions were scored on, with its split and limit.

    Args:
        report: The report.
        place: Its file: a file of references is looked for beside it, and in the current folder.
        dataset: Name of the data set, if it is to be another one than the report names.
        data_dir: Its folder or file.
        references: The file of references, if it is elsewhere.

    Raises:
        UsageError: It is not an installed data set, or the file is not there.
    """
    data = report.data
    limit, name = data.get("limit"), str(data.get("name", ""))
    split = str(data.get("split") or "test")
    if dataset is not None or data_dir is not None or references is not None:
        return evaluation_set(dataset, data_dir, split=split, references=references, limit=limit)
    if "sha256" in data:
        file = str(data.get("file", name))
        for folder in (place.parent, Path()):
            path = folder / file
            if path.is_file() and hash_files([path])[0].hex() == data["sha256"]:
                return evaluation_set(references=path, limit=limit)
        raise UsageError(
            f"{place} was scored against {file}, which is not beside it or in this folder",
            hint="Say where it is with --references.",
        )
    try:
        return evaluation_set(name, split=split, limit=limit)
    except CapgenError as error:
        raise UsageError(
            f"{place} was scored against the data set {name}, which is not installed: "
            f"{error.message}",
            hint="Say where it is with --data-dir.",
        ) from error


def verify(
    report: ReportedEvaluation,
    data: EvaluationSet,
    *,
    document_frequencies: DocumentFrequencies | None = None,
    config: EvalConfig | None = None,
) -> Verification:
    """Score the captions of a report again, as its stamp says they were scored.

    Args:
        report: The report.
        data: What the captions were scored on.
        document_frequencies: The table that CIDEr-D used, if any.
        config: How long official programs may take; the rest is taken from the report.

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
    metrics, unchecked = _metrics(stamp, config or EvalConfig())
    settings = dataclasses.replace(
        config or EvalConfig(),
        metrics=",".join(metrics),
        # Reports from before there were several have PTB's.
        tokenizer=str(stamp.get("tokenizer_key", PTB)),
        # Nor did they leave out metrics by language.
        language=str(stamp.get("language", "en")),
        **{name: record["config"][name] for name in ("resamples", "report_seed")},
    )
    scores, intervals = scored(captions, data, settings, document_frequencies)
    unchecked |= scores.left_out
    pairs = list(_compared(record, scores, intervals, data, complete=not unchecked))
    unlike = [Unlike(where=where, reported=a, computed=b) for where, a, b in pairs if a != b]
    return Verification(
        name=report.name, values=len(pairs), unlike=tuple(unlike), unchecked=unchecked
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


def _compared(
    record: Mapping[str, Any],
    scores: ScoreReport,
    intervals: Mapping[str, Interval],
    data: EvaluationSet,
    *,
    complete: bool,
) -> Iterator[tuple[str, Any, Any]]:
    """Yield the name of each value of a report, the value, and what it is now.

    What could not be computed is left out, unless the scores are `complete`.
    """
    computed = scores.to_dict()
    rows = {row["image_id"]: row for row in computed["images"]}
    ends = {name: interval.to_dict() for name, interval in intervals.items()}

    def there(reported: Mapping[str, Any]) -> dict[str, Any]:
        return {k: v for k, v in reported.items() if complete or k in computed["corpus"]}

    yield from _pairs("corpus", there(record["corpus"]), computed["corpus"])
    yield from _pairs("interval", there(record["intervals"]), ends)
    yield from _pairs("language", record["language"], computed["language"])
    yield from _pairs("stamp", _some(record["stamp"], _STAMPED), computed["stamp"])
    yield from _pairs("data", _some(record["data"], _OF_DATA), data.to_dict())
    for row in record["images"]:
        yield from _pairs(f"image {row['image_id']}", there(row["scores"]), rows[row["image_id"]])


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


def _is_evaluation(record: Any) -> bool:
    parts = ("system", "data", "config", "corpus", "intervals", "language", "stamp")
    if not isinstance(record, Mapping) or not isinstance(record.get("images"), Sequence):
        return False
    if not all(isinstance(record.get(part), Mapping) for part in parts):
        return False
    if not isinstance(record["stamp"].get("definitions"), Mapping):
        return False
    return bool(record["images"]) and all(
        isinstance(row, Mapping)
        and isinstance(row.get("image_id"), str)
        and isinstance(row.get("caption"), str)
        and isinstance(row.get("scores"), Mapping)
        for row in record["images"]
    )


def _some(record: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: record[name] for name in names if name in record}
