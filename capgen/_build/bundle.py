"""Make a trained captioner the bundled model.

    python -m capgen._build.bundle RUN_FOLDER NAME=REPORT.json... [--output FOLDER]

RUN_FOLDER is a staged run that began with the bundled model of before. The reports are those of
`capgen eval --json`; they become the evaluations of the record under their names, each with the
data set and split that the report is of. The model card and
the licence in the output folder are kept: the card's figures are edited by hand.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import torch

from capgen.hub.files import without_paths
from capgen.models.checkpoint import load_captioning, save_captioning
from capgen.models.folder import BEST_EVAL, ModelFolder, Provenance
from capgen.models.onnx_export import export_onnx
from capgen.paths import bundled_model_dir

KEPT = ("README.md", "LICENSE-EfficientNet")
SCORER = "COCO captions, equal to pycocoevalcap 1.2; METEOR of NLTK with WordNet 3.0"
# What of a stage's settings says how it trained.
SETTINGS = (
    *("objective", "num_epochs", "learning_rate", "weight_decay", "warmup_steps", "dropout"),
    *("label_smoothing", "ema_decay", "batch_size", "captions_per_image", "train_encoder", "seed"),
)


def bundle(run: Path, reports: dict[str, Path], output: Path) -> None:
    """Write the model folder, weights in float16, with its ONNX graphs."""
    source = ModelFolder(run / BEST_EVAL, BEST_EVAL)
    captioning = load_captioning(source)
    before = ModelFolder(output, output.name).provenance
    record = source.provenance
    provenance = Provenance(
        preset="mini",
        data=without_paths(record.data),
        training={
            **before.training,
            "stages": [*before.training["stages"], *_stages(run)],
        },
        metrics={name: figures(path) for name, path in reports.items()},
    )
    for part in (captioning.model.config.encoder, captioning.model.config.decoder):
        part.dtype = None  # the whole model's is what counts
    kept = {name: (output / name).read_bytes() for name in KEPT}
    save_captioning(output, captioning, provenance, dtype=torch.float16)
    size = before.training["model"]["image_size"]
    export_onnx(output, captioning.model, image_size=(size, size))
    for name, content in kept.items():
        (output / name).write_bytes(content)


def _stages(run: Path) -> list[dict[str, Any]]:
    """Return what the stages of a run trained with."""
    found = []
    for folder in sorted((run / "stages").iterdir()):
        training = ModelFolder(folder / BEST_EVAL, folder.name).provenance.training
        found.append({name: training[name] for name in SETTINGS})
    return found


def figures(path: Path) -> dict[str, Any]:
    """Return what a report of `capgen eval --json` says, for the record of a model."""
    report = json.loads(path.read_text(encoding="utf-8"))
    scores = {name: round(value, 4) for name, value in report["corpus"].items()}
    return {
        "dataset": report["data"]["name"],
        "split": report["data"]["split"],
        "scorer": SCORER,
        "images": len(report["images"]),
        "beams": report["system"]["settings"]["beams"],
        **scores,
    }


def main(arguments: list[str]) -> None:
    output = bundled_model_dir()
    if "--output" in arguments:
        place = arguments.index("--output")
        output = Path(arguments[place + 1])
        del arguments[place : place + 2]
    run, *pairs = arguments
    named = dict(pair.split("=", 1) for pair in pairs)
    bundle(Path(run), {name: Path(path) for name, path in named.items()}, output)


if __name__ == "__main__":
    main(sys.argv[1:])
