"""Reads reports of `capgen eval --json`, and finds what their captions were scored on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from capgen.data.cache.file_hashes import hash_files
from capgen.data.problems import refusing
from capgen.data.text_files import read_json
from capgen.errors import CapgenError, DataError, UsageError
from capgen.evaluation.evaluation_set import EvaluationSet, evaluation_set


@dataclass(frozen=True, kw_only=True)
class ReportedEvaluation:
    """An evaluation as a report of `capgen eval --json` has it.

    Attributes:
        name: The system that made the captions.
        record: The evaluation.
        differences: Metric → the first system of the report minus this one, in a comparison.
    """

    name: str
    record: Mapping[str, Any]
    differences: Mapping[str, Any] = field(default_factory=dict)

    @property
    def data(self) -> Mapping[str, Any]:
        """What the captions were scored on, as `EvaluationSet.to_dict` has it."""
        return dict(self.record["data"])

    @property
    def alternatives(self) -> dict[str, list[str]]:
        """The further captions of each image that has some."""
        return {
            row["image_id"]: list(map(str, said))
            for row in self.record["images"]
            if isinstance(said := row.get("alternatives"), list)
        }


def read_report(path: Path) -> list[ReportedEvaluation]:
    """Return the evaluations in a report of `capgen eval` or `capgen models compare`.

    Raises:
        DataError: The file is not such a report.
    """
    content = read_json(path, refusing, unique_keys=True)
    kind = content.get("kind") if isinstance(content, dict) else None
    comparisons: list[Any] = []
    if kind == "evaluation":
        found = [content]
    elif kind == "comparison":
        found, comparisons = [content.get("first"), content.get("second")], [content]
    elif kind == "model_comparison":
        found = [model.get("evaluation") for model in _objects(content, "models")]
        comparisons = _objects(content, "comparisons")
    else:
        found = []
    if not found or not all(map(_is_evaluation, found)):
        raise DataError(
            f"{path} is not a report of scores",
            hint="Give what --json of `capgen eval` or `capgen models compare` wrote.",
        )
    differences = [{}, *(each.get("differences") for each in comparisons)]
    differences += [{}] * (len(found) - len(differences))
    return [
        ReportedEvaluation(
            name=str(one["system"].get("name", "?")),
            record=one,
            differences=differs if isinstance(differs, Mapping) else {},
        )
        for one, differs in zip(found, differences, strict=False)
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
            f"{place} was scored against the data set {name}: {error.message}",
            hint="Say where it is with --data-dir, or under which name with --dataset. "
            f"{error.hint or ''}".strip(),
        ) from error


def _objects(content: Mapping[str, Any], name: str) -> list[Any]:
    items = content.get(name)
    return [item for item in items if isinstance(item, Mapping)] if isinstance(items, list) else []


def _is_evaluation(record: Any) -> bool:
    parts = ("system", "data", "config", "corpus", "intervals", "language", "stamp")
    if not isinstance(record, Mapping) or not isinstance(record.get("images"), Sequence):
        return False
    if not all(isinstance(record.get(part), Mapping) for part in parts):
        return False
    stamp, config, limit = record["stamp"], record["config"], record["data"].get("limit")
    if not all(isinstance(stamp.get(part, {}), Mapping) for part in ("definitions", "evidence")):
        return False
    if not all(_is_count(config.get(name)) for name in ("resamples", "report_seed")):
        return False
    if "definitions" not in stamp or not (limit is None or _is_count(limit)):
        return False
    return bool(record["images"]) and all(
        isinstance(row, Mapping)
        and isinstance(row.get("image_id"), str)
        and isinstance(row.get("caption"), str)
        and isinstance(row.get("scores"), Mapping)
        for row in record["images"]
    )


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
