"""Model folders for tests of the registry: real files, weights too small to caption."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

CONFIG = {
    "model_type": "vision-encoder-decoder",
    "encoder": {"model_type": "clip_vision_model", "num_hidden_layers": 12, "hidden_size": 768},
    "decoder": {"model_type": "gpt2", "n_layer": 2, "n_embd": 64},
}
PROVENANCE = {
    "schema_version": 1,
    "data": {"name": "flickr8k"},
    "metrics": {"val": {"loss": 2.5, "CIDEr-D": 0.5, "images": 10}},
    "created": "2026-01-02T03:04:05+00:00",
}


def write_model(folder: Path, **changes: Any) -> Path:
    """Write a model folder; `config` and `provenance` replace the files' content."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(changes.get("config", CONFIG)))
    (folder / "capgen.json").write_text(json.dumps(changes.get("provenance", PROVENANCE)))
    weights = {"a": np.ones((3, 4), np.float16), "b": np.zeros(5, np.float32)}
    safetensors.numpy.save_file(weights, folder / "model.safetensors")
    return folder


def write_run(runs: Path, name: str, *checkpoints: str) -> Path:
    """Write the folder of a training run with checkpoints."""
    (runs / name).mkdir(parents=True)
    (runs / name / "config.toml").write_text('preset = "mini"\n')
    for checkpoint in checkpoints:
        write_model(runs / name / checkpoint)
    return runs / name
