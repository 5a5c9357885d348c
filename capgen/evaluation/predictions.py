"""Files of captions, by capgen or others: COCO results, a plain mapping, capgen's records."""

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
from capgen.metrics.score import unique_captions
from capgen.records import CaptionFailure

SUFFIXES = (".json", ".jsonl")


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """Captions of images, under the names that their source uses.

    Attributes:
        name: What reports call them.
        captions: Pairs of image and caption, as read.
        failures: Pairs of image and what went wrong, where the source says so.
        details: What else the source tells: `file`, `sha256`, and for records of capgen
            `model` and `settings`.
    """

    name: str
    captions: tuple[tuple[str, str], ...] = field(repr=False)
    failures: tuple[tuple[str, CaptionFailure], ...] = field(default=(), repr=False)
    details: Mapping[str, Any] = field(default_factory=dict)

    def outcomes(self, data: EvaluationSet) -> dict[str, str | CaptionFailure]:
        """Return the caption, or the failure, of every image of `data`.

        Raises:
            MetricError: An image has two captions or none, or a caption is of no image of the
                split. Images of the split beyond the limit are passed over.
        """
        names: dict[str, str] = {}
        strangers = []
        for name, _ in (*self.captions, *self.failures):
            found = data.find(name)
            if found is None:
                strangers.append(name)
            else:
                names[name] = found
        where = f"split {data.split} of {data.name}" if data.split else data.name
        if strangers:
            raise MetricError(
                f"{self.name}: {_some(strangers)} not in {where}",
                hint="Predictions and references must be of the same data and split.",
            )
        outcomes: dict[str, str | CaptionFailure] = {}
        outcomes |= unique_captions((names[name], caption) for name, caption in self.captions)
        for name, failure in self.failures:
            outcomes.setdefault(names[name], failure)
        missing = [image_id for image_id in data.by_id if image_id not in outcomes]
        if missing:
            raise MetricError(
                f"{self.name}: no prediction for {_some(missing)} of {where}",
                hint="Score the whole split, or the first part of it with --limit.",
            )
        return {image_id: outcomes[image_id] for image_id in data.by_id}


def read_predictions(path: Path) -> Predictions:
    """Read a file of captions.

    Args:
        path: A JSON list of `{"image_id": …, "caption": …}` (COCO results), an object of
            image id → caption, the records that `capgen caption -o` writes (.json or .jsonl,
            matched by file name), or the report that `capgen eval --json` writes.

    Raises:
        DataError: It cannot be read, or is none of these.
    """
    report = stopping([])
    content: Any
    if path.suffix.lower() == ".jsonl":
        lines = read_lines(path, report)
        content = [parse_json(text, path, line=line, unique_keys=True) for line, text in lines]
    else:
        content = read_json(path, report, unique_keys=True)
    details: dict[str, Any] = {"file": path.name, "sha256": hash_files([path])[0].hex()}
    if isinstance(content, dict) and "comparison" in str(content.get("kind")):
        raise DataError(
            f"{path} compares models: whose captions are meant?",
            hint="Give the report of one model, or its captions.",
        )
    if isinstance(content, dict) and isinstance(content.get("images"), list):
        system = content.get("system")
        if isinstance(system, dict):
            details |= {key: system[key] for key in ("model", "settings") if system.get(key)}
        content = [*content["images"], *_list(content.get("failures"))]
    elif isinstance(content, dict):
        content = [{"image_id": key, "caption": value} for key, value in content.items()]
    if not isinstance(content, list) or not content:
        raise DataError(
            f"{path} holds no captions",
            hint='Expected a list of {"image_id": …, "caption": …}, an object of image id → '
            "caption, or the records of `capgen caption -o`.",
        )
    captions, failures = [], []
    for number, item in enumerate(content, start=1):
        name, outcome = _entry(item, number, path)
        if isinstance(outcome, CaptionFailure):
            failures.append((name, outcome))
        else:
            captions.append((name, outcome))
    return Predictions(
        name=path.name,
        captions=tuple(captions),
        failures=tuple(failures),
        details={**details, **_common(content)},
    )


def _entry(item: Any, number: int, path: Path) -> tuple[str, str | CaptionFailure]:
    """Return the image and the caption, or the failure, of one entry."""
    if not isinstance(item, dict):
        raise DataError(f"{path}: entry {number} is not an object")
    name = item.get("image_id", item.get("path"))
    if isinstance(name, bool) or not isinstance(name, str | int):
        raise DataError(f"{path}: entry {number} has no image_id and no path")
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
    raise DataError(f"{path}: entry {number} ({name}) has no caption that is text")


def _common(items: list[Any]) -> dict[str, Any]:
    """Return model and settings of capgen's records where they are the same in all of them."""
    records = [item for item in items if "log_probability" in item and item.get("caption")]
    found = {}
    for key in ("model", "settings"):
        values = [record.get(key) for record in records]
        if values and values[0] and all(value == values[0] for value in values):
            found[key] = values[0]
    return found


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _some(names: list[str], most: int = 5) -> str:
    shown = ", ".join(map(repr, names[:most])) + (", …" if len(names) > most else "")
    return f"{len(names)} {'image' if len(names) == 1 else 'images'} ({shown})"
