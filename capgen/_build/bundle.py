"""Make a trained captioner the bundled model, and put its evaluations into its record.

    python -m capgen._build.bundle build RUN_FOLDER
    python -m capgen._build.bundle record NAME=REPORT.json...

RUN_FOLDER is a staged run that began with the bundled model of before. The reports are those of
`capgen eval --json` of what was built: the weights that ship are in float16, and only their
scores count. They become the evaluations of the record under their names. The model card and
the licence are kept: the card's figures are edited by hand.
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
from capgen.models.folder import BEST_EVAL, ModelFolder
from capgen.models.provenance import PROVENANCE_FILE, Provenance
from capgen.models.onnx.export import export_onnx
from capgen.paths import bundled_model_dir, writing

KEPT = ("README.md", "LICENSE-EfficientNet")
SCORER = "COCO captions, equal to pycocoevalcap 1.2; METEOR of NLTK with WordNet 3.0"
# What of a stage's settings says how it trained.
SETTINGS = (
    *("objective", "num_epochs", "learning_rate", "weight_decay", "warmup_steps", "dropout"),
    *("label_smoothing", "ema_decay", "batch_size", "captions_per_image", "train_encoder", "seed"),
)


def build(run: Path, output: Path) -> None:
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


def record(reports: dict[str, Path], output: Path) -> None:
    """Write what reports say into the record of the model that they are of.

    Raises:
        ValueError: A report is of other weights.
    """
    path = output / PROVENANCE_FILE
    content = json.loads(path.read_text(encoding="utf-8"))
    content["metrics"] = {
        name: _figures(report, content["files"]) for name, report in reports.items()
    }
    with writing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _figures(path: Path, files: dict[str, str]) -> dict[str, Any]:
    report = json.loads(path.read_text(encoding="utf-8"))
    weights = report["system"]["weights"]
    if any(files.get(name) != digest for name, digest in weights.items()) or not weights:
        raise ValueError(f"{path} is a report of other weights")
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
    what, *rest = arguments
    output = bundled_model_dir()
    if what == "build":
        build(Path(rest[0]), output)
    elif what == "record":
        record({name: Path(path) for name, _, path in (one.partition("=") for one in rest)}, output)
    else:
        raise SystemExit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
