"""Convert the prototype's weights and tokenizer into the bundled model folder.

    python -m capgen._build.convert_seed SEED_FOLDER [OUTPUT_FOLDER]

SEED_FOLDER holds `model.safetensors` (float16) and `tokenizer.json` (word level). The model
card and the licence in OUTPUT_FOLDER are kept.
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import safetensors.torch
import tokenizers
import torch

from capgen.models.build import MiniConfig, build_mini
from capgen.models.checkpoint import save_captioning
from capgen.models.folder import Provenance
from capgen.models.onnx_export import export_onnx
from capgen.models.vocabulary import SPECIAL_TOKENS
from capgen.paths import bundled_model_dir

TRAINING: dict[str, Any] = {
    "stages": [
        {"objective": "cross-entropy", "epochs": 20},
        {"objective": "scst (CIDEr-D)", "epochs": 9},
        {"objective": "scst (CIDEr-D)", "epochs": "8 of 12"},
    ],
    "hardware": "one NVIDIA H100",
    "seconds": {"cross-entropy": 52, "scst": 34, "scst again": 44},
    "seed": "one seed, not recorded by the prototype",
}
DATA = {"name": "flickr8k", "train": 6000, "val": 1000, "test": 1000}
# Measured on the converted model: `capgen eval --data-dir flickr8k --split test` (and val);
# pycocoevalcap 1.2 with its Java tokenizer gives the same.
PROTOCOL = {
    "scorer": "COCO captions, equal to pycocoevalcap 1.2; METEOR of NLTK with WordNet 3.0",
    "references": 5,
}
METRICS = {
    "test": {
        **PROTOCOL,
        "images": 1000,
        "beams": 3,
        "BLEU-1": 0.6876,
        "BLEU-2": 0.5104,
        "BLEU-3": 0.3714,
        "BLEU-4": 0.2636,
        "ROUGE-L": 0.4905,
        "CIDEr-D": 0.6580,
        "METEOR": 0.4323,
    },
    "val": {
        **PROTOCOL,
        "images": 1000,
        "beams": 3,
        "BLEU-1": 0.6747,
        "BLEU-2": 0.5003,
        "BLEU-3": 0.3625,
        "BLEU-4": 0.2569,
        "ROUGE-L": 0.4840,
        "CIDEr-D": 0.6104,
        "METEOR": 0.4283,
    },
}
KEPT = ("README.md", "LICENSE-EfficientNet")


def convert(seed: Path, output: Path) -> None:
    """Write the model folder, weights in float16, with its ONNX graphs."""
    config = MiniConfig()
    tokenizer = tokenizers.Tokenizer.from_file(str(seed / "tokenizer.json"))
    tokenizer.add_special_tokens(list(SPECIAL_TOKENS))
    captioning = build_mini(tokenizer, config, imagenet=False)
    weights = safetensors.torch.load_file(seed / "model.safetensors")
    missing, unexpected = captioning.model.load_state_dict(
        {name: tensor.float() for name, tensor in weights.items()}, strict=False
    )
    if unexpected or set(missing) - {"decoder.lm_head.weight"}:
        raise SystemExit(f"weights do not fit: missing {missing}, unexpected {unexpected}")
    provenance = Provenance(
        preset="mini",
        data=DATA,
        training={"model": dataclasses.asdict(config), **TRAINING},
        metrics=METRICS,
    )
    kept = {name: (output / name).read_bytes() for name in KEPT if (output / name).is_file()}
    save_captioning(output, captioning, provenance, dtype=torch.float16)
    export_onnx(output, captioning.model, image_size=(config.image_size, config.image_size))
    for name, content in kept.items():
        (output / name).write_bytes(content)


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else bundled_model_dir())
