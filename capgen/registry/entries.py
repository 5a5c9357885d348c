"""What is known of a model from its files. Loads neither torch nor ONNX Runtime.

Whatever is in the folder, describing it does not fail: what is wrong becomes `problem`.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from capgen.errors import CapgenError
from capgen.models.folder import ModelFolder
from capgen.models.kinds import other_kind
from capgen.models.provenance import Provenance
from capgen.models.recorded_scores import RecordedEvaluation, recorded_evaluations
from capgen.models.safetensors_index import StoredTensor, read_index

BUNDLED, RUN, STORED, HUB, FOLDER = "bundled", "run", "stored", "hub", "folder"
# Splits whose scores are shown, the first that is there.
_SPLITS = ("test", "val")
_ARCHITECTURES = {
    "capgen_efficientnet_lite": "EfficientNet",
    "clip_vision_model": "CLIP ViT",
    "gpt2": "GPT-2",
    "vit": "ViT",
}
_PARTS = {"encoder": ("encoder", "vision_config"), "decoder": ("decoder", "text_config")}


@dataclass(frozen=True, kw_only=True)
class ModelEntry:
    """A model of this machine.

    Attributes:
        name: What `--model` calls it.
        kind: `bundled`, `run` (a checkpoint of a training run), `stored` (exported or pulled
            under a name), `hub` (in the Hub's cache) or `folder`.
        path: Its folder.
        revision: Commit on the Hub, or an empty string.
        size: Bytes of all its files.
        parameters: Numbers in its weights; None if they cannot be read.
        precision: Type that most of the weights are stored in, as in `F16`.
        encoder: Architecture and size of the encoder.
        decoder: Architecture and size of the decoder.
        onnx: Whether it runs in ONNX Runtime.
        data: Name of the data set that it was trained on.
        measured_on: Data set that `metrics` are of.
        split: Its split.
        metrics: Scores by metric, from its provenance.
        created: UTC time of saving, ISO 8601.
        default: Whether it is used where no model is named.
        problem: Why it cannot be used; empty if nothing is seen to be wrong.
    """

    name: str
    kind: str
    path: Path
    revision: str = ""
    size: int = 0
    parameters: int | None = None
    precision: str = ""
    encoder: str = ""
    decoder: str = ""
    onnx: bool = False
    data: str = ""
    measured_on: str = ""
    split: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    created: str = ""
    default: bool = False
    problem: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the entry as built-in types."""
        return {**dataclasses.asdict(self), "path": str(self.path)}


def describe(folder: ModelFolder, kind: str, *, default: bool = False) -> ModelEntry:
    """Return what a folder's files say about the model in it."""
    problems: list[str] = []
    config, provenance, tensors = _read(folder, problems)
    shown = _shown(provenance)
    types: Counter[str] = Counter()
    for tensor in tensors.values():
        types[tensor.dtype] += tensor.length
    return ModelEntry(
        name=folder.name,
        kind=kind,
        path=folder.path,
        revision=folder.revision,
        size=_size(folder.path),
        parameters=sum(math.prod(tensor.shape) for tensor in tensors.values()) if tensors else None,
        precision=types.most_common(1)[0][0] if types else "",
        encoder=_part(config, "encoder"),
        decoder=_part(config, "decoder"),
        onnx=folder.has_onnx,
        data=_text(provenance.data.get("name")),
        measured_on=shown.dataset if shown else "",
        split=shown.split if shown else "",
        metrics=dict(shown.scores) if shown else {},
        created=provenance.created,
        default=default,
        problem="; ".join(problems),
    )


def _read(
    folder: ModelFolder, problems: list[str]
) -> tuple[Mapping[str, Any], Provenance, Mapping[str, StoredTensor]]:
    """Read what can be read; what cannot becomes a problem."""
    config: Mapping[str, Any] = {}
    provenance = Provenance()
    tensors: dict[str, StoredTensor] = {}
    try:
        config = folder.config
        other = other_kind(folder.name, config)
        if other is not None:
            problems.append(f"not a captioner that capgen knows, but {other.what}")
    except (CapgenError, OSError) as error:
        problems.append(str(error))
    try:
        provenance = folder.provenance
    except (CapgenError, OSError) as error:
        problems.append(str(error))
    try:
        files = sorted(folder.path.glob("model*.safetensors"))
        if not files:
            folder.check_weights()
        for file in files:
            tensors |= read_index(file)
    except (CapgenError, OSError) as error:
        problems.append(str(error))
    return config, provenance, tensors


def _size(folder: Path) -> int:
    total = 0
    try:
        for file in folder.rglob("*"):
            total += file.stat().st_size if file.is_file() else 0
    except OSError:
        return total  # a part that may not be read, or is just being removed
    return total


def _shown(provenance: Provenance) -> RecordedEvaluation | None:
    """Return the recorded evaluation whose scores stand for the model."""
    found = recorded_evaluations(provenance)
    return next((item for split in _SPLITS for item in found if item.split == split), None)


def _part(config: Mapping[str, Any], name: str) -> str:
    """Describe the encoder or the decoder, as in `GPT-2 3×256`."""
    parts = [config[key] for key in _PARTS[name] if isinstance(config.get(key), dict)]
    part: Mapping[str, Any] = parts[0] if parts else {}
    kind = _text(part.get("model_type"))
    variant = _text(part.get("variant"))
    title = _ARCHITECTURES.get(kind, kind)
    if variant:
        return f"{title}-{variant}"
    layers = part.get("n_layer", part.get("num_hidden_layers"))
    width = part.get("n_embd", part.get("hidden_size"))
    if isinstance(layers, int) and isinstance(width, int):
        return f"{title} {layers}×{width}"
    return title


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
