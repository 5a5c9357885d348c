"""Predictions files, by capgen or others: COCO results, a plain mapping, capgen's records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from capgen.data.cache.file_hashes import hash_files
from capgen.data.problems import stopping
from capgen.data.text_files import read_json, read_lines
from capgen.errors import DataError, MetricError
from capgen.evaluation.evaluation_set import EvaluationSet
from capgen.json_files import parse_json
from capgen.metrics.corpus import some_images
from capgen.metrics.score import unique_captions
from capgen.records import CaptionFailure

SUFFIXES = (".json", ".jsonl")


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """Captions of images, under the names that their source uses.

    Attributes:
        name: Name in reports.
        captions: Pairs of image and caption, as read.
        failures: Pairs of image and failure, where the source records them.
        details: `file`, `sha256`, and for capgen's records `model` and `settings`.
    """

    name: str
    captions: tuple[tuple[str, str], ...] = field(repr=False)
    failures: tuple[tuple[str, CaptionFailure], ...] = field(default=(), repr=False)
    details: Mapping[str, Any] = field(default_factory=dict)

    def outcomes(self, data: EvaluationSet) -> dict[str, str | CaptionFailure]:
        """Return the caption, or the failure, of every image of `data`.

        Raises:
            MetricError: An image has two captions or none, or is not in the split. Images of
                the split beyond the limit are ignored.
        """
        names = [name for name, _ in (*self.captions, *self.failures)]
        ids = {name: image_id for name in names if (image_id := data.find(name)) is not None}
        unknown = [name for name in names if name not in ids]
        where = f"split {data.split} of {data.name}" if data.split else data.name
        if unknown:
            raise MetricError(
                f"{self.name}: {some_images(unknown)} not in {where}",
                hint="Predictions and references must be of the same data and split.",
            )
        outcomes: dict[str, str | CaptionFailure] = {}
        outcomes |= unique_captions((ids[name], caption) for name, caption in self.captions)
        for name, failure in self.failures:
            outcomes.setdefault(ids[name], failure)
        missing = [image_id for image_id in data.by_id if image_id not in outcomes]
        if missing:
            raise MetricError(
                f"{self.name}: no prediction for {some_images(missing)} of {where}",
                hint="Predict the whole split, or score only its first images with --limit.",
            )
        return {image_id: outcomes[image_id] for image_id in data.by_id}


def read_predictions(path: Path) -> Predictions:
    """Read a file of captions.

    Args:
        path: A JSON list of `{"image_id": …, "caption": …}` (COCO results), an object of
            image id → caption, the records that `capgen caption -o` writes (.json or .jsonl,
            matched by file name), or the report that `capgen eval --json` writes.

    Raises:
        DataError: The file cannot be read, or has none of these forms.
    """
    content = _content(path)
    details: dict[str, Any] = {"file": path.name, "sha256": hash_files([path])[0].hex()}
    if isinstance(content, dict) and "comparison" in str(content.get("kind")):
        raise DataError(
            f"{path} compares several models, so it is not clear whose captions to score",
            hint="Give the report or the captions of one model.",
        )
    if isinstance(content, dict) and isinstance(content.get("images"), list):
        system, failed = content.get("system"), content.get("failures")
        if isinstance(system, dict):
            details |= {key: system[key] for key in ("model", "settings") if system.get(key)}
        content = [*content["images"], *(failed if isinstance(failed, list) else ())]
    elif isinstance(content, dict):
        content = [{"image_id": key, "caption": value} for key, value in content.items()]
    if not isinstance(content, list) or not content:
        raise DataError(
            f"{path} has no captions",
            hint='Expected a list of {"image_id": …, "caption": …}, an object of image id → '
            "caption, or the records of `capgen caption -o`.",
        )
    entries = [_entry(item, number, path) for number, item in enumerate(content, start=1)]
    return Predictions(
        name=path.name,
        captions=tuple((name, text) for name, text in entries if isinstance(text, str)),
        failures=tuple((name, why) for name, why in entries if not isinstance(why, str)),
        details={**details, **_shared_details(content)},
    )


def _content(path: Path) -> Any:
    report = stopping([])
    if path.suffix.lower() != ".jsonl":
        return read_json(path, report, unique_keys=True)
    lines = read_lines(path, report)
    return [parse_json(text, path, line=line, unique_keys=True) for line, text in lines]


def _entry(item: Any, number: int, path: Path) -> tuple[str, str | CaptionFailure]:
    """Return the image of an entry, with its caption or failure."""
    if not isinstance(item, dict):
        raise DataError(f"{path}: entry {number} is not an object")
    name = item.get("image_id", item.get("path"))
    if isinstance(name, bool) or not isinstance(name, str | int):
        raise DataError(f"{path}: entry {number} has neither image_id nor path")
    caption, error = item.get("caption"), item.get("error")
    if isinstance(caption, str):
        return str(name), caption
    if caption is None and isinstance(error, dict):
        failure = CaptionFailure(
            path=str(name),
            code=str(error.get("code", "unreadable")),
            message=str(error.get("message", "no caption")),
            hint=str(error.get("hint", "")),
        )
        return str(name), failure
    raise DataError(f"{path}: the caption in entry {number} ({name}) is missing or not a string")


def _shared_details(items: list[Any]) -> dict[str, Any]:
    """Return the model and settings of capgen's records, if all records agree on them."""
    records = [item for item in items if "log_probability" in item and item.get("caption")]
    details = {}
    for key in ("model", "settings"):
        values = [record.get(key) for record in records]
        if values and values[0] and all(value == values[0] for value in values):
            details[key] = values[0]
    return details
