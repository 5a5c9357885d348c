"""Predictions files, by capgen or others, and how they fit the images that are scored."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

from capgen.data.cache.file_hashes import hash_files
from capgen.errors import DataError, MetricError
from capgen.evaluation.caption_files import (
    CAPTION_KEYS,
    PREDICTION_KEYS,
    SUFFIXES,
    Entry,
    caption_items,
    read_caption_file,
    read_content,
)
from capgen.evaluation.evaluation_set import EvaluationSet
from capgen.metrics.corpus import some_images
from capgen.metrics.score import unique_captions
from capgen.records import CaptionFailure

_KEYS = (*PREDICTION_KEYS, *CAPTION_KEYS)


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """Captions of images, under the names that their source uses.

    Attributes:
        name: Name in reports.
        captions: Pairs of image and caption, as read.
        failures: Pairs of image and failure, where the source records them.
        alternatives: Pairs of image and its further captions, where the source has them.
        numbered: Whether the source names no images, and its lines are in the order of theirs.
        details: `file`, `sha256`, and for capgen's records `model` and `settings`.
    """

    name: str
    captions: tuple[tuple[str, str], ...] = field(repr=False)
    failures: tuple[tuple[str, CaptionFailure], ...] = field(default=(), repr=False)
    alternatives: tuple[tuple[str, tuple[str, ...]], ...] = field(default=(), repr=False)
    numbered: bool = False
    details: Mapping[str, Any] = field(default_factory=dict)

    def outcomes(self, data: EvaluationSet) -> dict[str, str | CaptionFailure]:
        """Return the caption, or the failure, of every image of `data`.

        Raises:
            MetricError: An image has two captions or none, or is not in the split. Images of
                the split beyond the limit are ignored, and so are failures of any others.
        """
        names = [name for name, _ in (*self.captions, *self.failures)]
        ids = {name: image_id for name in names if (image_id := data.find(name)) is not None}
        unknown = [name for name, _ in self.captions if name not in ids]
        if self.numbered != data.numbered:
            bare, other = (self.name, data.name) if self.numbered else (data.name, self.name)
            raise MetricError(
                f"{bare} has captions line by line without their images, and {other} names images",
                hint="Begin each line with the image and a tab (`paste images.txt captions.txt` "
                "does that), or give both files as lines.",
            )
        where = f"split {data.split} of {data.name}" if data.split else data.name
        if unknown:
            raise MetricError(
                f"{self.name}: {some_images(unknown)} not in {where}",
                hint="Predictions and references must be of the same data and split.",
            )
        outcomes: dict[str, str | CaptionFailure] = {}
        pairs = ((ids[name], caption) for name, caption in self.captions)
        outcomes |= unique_captions(pairs, self.name)
        for name, failure in self.failures:
            if name in ids:  # a run over a folder may have failed at what nobody described
                outcomes.setdefault(ids[name], failure)
        missing = [image_id for image_id in data.by_id if image_id not in outcomes]
        if missing:
            raise MetricError(
                f"{self.name}: no prediction for {some_images(missing)} of {where}",
                hint="Predict the whole split, or score its first images by name, with --limit."
                if data.split
                else "Predict them too, or leave the other images out of the references.",
            )
        return {image_id: outcomes[image_id] for image_id in data.by_id}

    def alternatives_of(self, data: EvaluationSet) -> dict[str, tuple[str, ...]]:
        """Return the further captions of the images of `data`, by image id."""
        found = ((data.find(name), texts) for name, texts in self.alternatives)
        return {image_id: texts for image_id, texts in found if image_id is not None}


def names_of_files(paths: Sequence[Path]) -> list[str]:
    """Return the names of files, with as much of their folders as tells those of one name apart."""
    parts = [Path(os.path.abspath(path)).parts for path in paths]  # noqa: PTH100
    names = []
    for path, own in zip(paths, parts, strict=True):
        others = [other for other in parts if other != own and other[-1] == own[-1]]
        sizes = range(2, len(own) + 1) if others else ()
        ends = (own[-size:] for size in sizes if not any(o[-size:] == own[-size:] for o in others))
        end = next(ends, None)
        names.append(path.name if end is None else PurePath(*end).as_posix())
    return names


def read_predictions(path: Path, name: str = "") -> Predictions:
    """Read a file of captions.

    Args:
        path: A JSON list of `{"image_id": …, "caption": …}` (COCO results), an object of
            image → caption or a list with one (`res` of pycocoevalcap), the records that
            `capgen caption -o` writes, the report that `capgen eval --json` writes, a CSV or TSV
            with a column of images and one of captions, lines of image, tab, caption, or a
            caption per line. See `capgen.evaluation.caption_files`.
        name: What reports call it; by default the file's name.

    Raises:
        DataError: The file cannot be read, or has none of these forms.
    """
    details: dict[str, Any] = {"file": path.name, "sha256": hash_files([path])[0].hex()}
    if path.suffix.lower() in SUFFIXES and path.suffix.lower() != ".json":
        read = read_caption_file(path, _KEYS)
    else:
        content = read_content(path)
        if isinstance(content, dict) and "comparison" in str(content.get("kind")):
            raise DataError(
                f"{path} compares several models, so it is not clear whose captions to score",
                hint="Give the report or the captions of one model.",
            )
        if isinstance(content, dict) and "annotations" not in content:
            content = _report_entries(content, details)
        read = caption_items(content, path, _KEYS)
    return Predictions(
        name=name or path.name,
        captions=tuple(
            (entry.image, text) for entry in read.entries for text in _only(entry, path)
        ),
        failures=tuple((each.image, each.failure) for each in read.entries if each.failure),
        alternatives=tuple(
            (entry.image, entry.alternatives) for entry in read.entries if entry.alternatives
        ),
        numbered=read.numbered,
        details={**details, **_shared_details(read.items)},
    )


def _report_entries(content: dict[str, Any], details: dict[str, Any]) -> Any:
    """Return the entries of a report of `capgen eval --json`, and add to `details`."""
    if not isinstance(content.get("images"), list):
        return content
    system, failed = content.get("system"), content.get("failures")
    if isinstance(system, dict):
        details |= {key: system[key] for key in ("model", "settings") if system.get(key)}
    return [*content["images"], *(failed if isinstance(failed, list) else ())]


def _only(entry: Entry, path: Path) -> tuple[str, ...]:
    """Return the caption of an entry, none of a failure; raise DataError for several."""
    if len(entry.captions) == 1 or entry.failure is not None:
        return entry.captions
    raise DataError(
        f"{path}: {entry.place} ({entry.image}) has {len(entry.captions)} captions; predictions "
        "have one per image",
        hint="Keep the best one of each image. Are these references? Then use --references.",
    )


def _shared_details(items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the model and settings of capgen's records, if all records agree on them."""
    records = [item for item in items if "log_probability" in item and item.get("caption")]
    details = {}
    for key in ("model", "settings"):
        values = [record.get(key) for record in records]
        if values and values[0] and all(value == values[0] for value in values):
            details[key] = values[0]
    return details
