"""Describe a model from its files, without torch or ONNX Runtime.

This never fails, whatever is in the folder: faults become the entry's `problem`.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from capgen.addresses import without_credentials
from capgen.errors import CapgenError
from capgen.models.concept_table import ConceptTable, membership_size, read_concepts
from capgen.models.folder import (
    CHECKPOINTS,
    CONFIG_FILE,
    RUN_EVENTS_FILE,
    RUN_SETTINGS_FILE,
    ModelFolder,
)
from capgen.models.kinds import other_kind
from capgen.models.part_names import part_name
from capgen.models.provenance import Provenance
from capgen.models.recorded_scores import RecordedEvaluation, recorded_evaluations
from capgen.models.safetensors_index import StoredTensor, read_index

# How the problem of a run that has not saved a model yet begins.
NO_EPOCH = "no epoch yet"
_NO_MODEL = "its models were removed"
BUNDLED, RUN, STORED, HUB, FOLDER = "bundled", "run", "stored", "hub", "folder"
# Splits whose scores may be shown; the first one with scores is.
_SPLITS = ("test", "val")


@dataclass(frozen=True, kw_only=True)
class ModelEntry:
    """A model on this machine.

    Attributes:
        name: Its name for `--model`.
        kind: `bundled`, `run` (a checkpoint of a training run), `stored` (exported under a
            name), `hub` (in the Hub's cache), `folder`, or `server` (an address).
        path: Its folder; None on a server.
        revision: Commit on the Hub, or an empty string.
        size: Bytes of all its files.
        parameters: Number of parameters; None if the weights cannot be read.
        precision: Type that most of the weights are stored in, as in `F16`.
        encoder: Architecture and size of the encoder.
        decoder: Architecture and size of the decoder.
        onnx: Whether it runs in ONNX Runtime.
        concepts: Number of concepts that it can see; 0 without a concept head.
        data: Name of the data set that it was trained on.
        measured_on: Data set of `metrics`.
        split: Split of `metrics`.
        metrics: Scores by metric, from its provenance.
        images: Number of images that `metrics` are over, and of how many if not all of the
            split, as in `20 of 1,000`; empty if unknown.
        created: UTC time of saving, ISO 8601.
        default: Whether it is the default model.
        problem: Why it cannot be used; empty if no fault was found. It begins with `no epoch yet`
            for a run that has not saved a model.
    """

    name: str
    kind: str
    path: Path | None
    revision: str = ""
    size: int = 0
    parameters: int | None = None
    precision: str = ""
    encoder: str = ""
    decoder: str = ""
    onnx: bool = False
    concepts: int = 0
    data: str = ""
    measured_on: str = ""
    split: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    images: str = ""
    created: str = ""
    default: bool = False
    problem: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the entry as built-in types."""
        return {**dataclasses.asdict(self), "path": None if self.path is None else str(self.path)}


def served_entry(address: str) -> ModelEntry:
    """Return what is known about a model on a server: where it is."""
    return ModelEntry(name=without_credentials(address), kind="server", path=None)


def describe(folder: ModelFolder, kind: str, *, default: bool = False) -> ModelEntry:
    """Return what a folder's files say about the model in it."""
    problems: list[str] = []
    config: Mapping[str, Any] = {}
    with _noting(problems):
        config = folder.config
        other = other_kind(folder.name, config)
        if other is not None:
            problems.append(f"not a captioner that capgen supports, but {other.what}")
    if kind == RUN and _is_without_model(folder.path):
        # A finished run had models: there is nothing to go on with.
        problems[:] = [_NO_MODEL] if _is_finished(folder.path) else [NO_EPOCH, *problems]
    provenance = Provenance()
    with _noting(problems):
        provenance = folder.provenance
    concepts: ConceptTable | None = None
    with _noting(problems):
        concepts = read_concepts(folder) if config else None
    tensors: list[StoredTensor] = []
    with _noting(problems):
        tensors = _tensors(folder)
    shown = _shown(provenance)
    count = sum(math.prod(tensor.shape) for tensor in tensors)
    types: Counter[str] = Counter()
    for tensor in tensors:
        types[tensor.dtype] += tensor.length
    return ModelEntry(
        name=folder.name,
        kind=kind,
        path=folder.path,
        revision=folder.revision,
        size=_size(folder.path),
        parameters=count - membership_size(config) if tensors else None,
        precision=types.most_common(1)[0][0] if types else "",
        encoder=part_name(config, "encoder"),
        decoder=part_name(config, "decoder"),
        concepts=0 if concepts is None else len(concepts.names),
        onnx=folder.has_onnx,
        data=_text(provenance.data.get("name")),
        measured_on=shown.dataset if shown else "",
        split=shown.split if shown else "",
        metrics=dict(shown.scores) if shown else {},
        images=shown.images_text if shown else "",
        created=provenance.created,
        default=default,
        problem="; ".join(problems),
    )


def _is_finished(run: Path) -> bool:
    """Whether a run has ended."""
    try:
        lines = (run / RUN_EVENTS_FILE).read_bytes().splitlines()
    except OSError:
        return False
    return bool(lines) and b'"run_finished"' in lines[-1]


def _is_without_model(folder: Path) -> bool:
    """Whether a folder is that of a run without a model."""
    saved = (CONFIG_FILE, *(f"{name}/{CONFIG_FILE}" for name in CHECKPOINTS))
    made = any((folder / name).exists() for name in saved)
    return (folder / RUN_SETTINGS_FILE).is_file() and not made


@contextmanager
def _noting(problems: list[str]) -> Iterator[None]:
    try:
        yield
    except (CapgenError, OSError) as error:
        problems.append(str(error))


def _tensors(folder: ModelFolder) -> list[StoredTensor]:
    files = sorted(folder.path.glob("model*.safetensors"))
    if not files:
        folder.check_weights()
    return [tensor for file in files for tensor in read_index(file).values()]


def _size(folder: Path) -> int:
    total = 0
    with suppress(OSError):  # an unreadable part, or one that is just being removed
        for file in folder.rglob("*"):
            total += file.stat().st_size if file.is_file() else 0
    return total


def _shown(provenance: Provenance) -> RecordedEvaluation | None:
    """Return the recorded evaluation whose scores are shown for the model."""
    recorded = recorded_evaluations(provenance)
    return next((item for split in _SPLITS for item in recorded if item.split == split), None)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
