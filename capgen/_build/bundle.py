"""Make a trained captioner the bundled model, and record its evaluations.

    python -m capgen._build.bundle build RUN_FOLDER
    python -m capgen._build.bundle record NAME=REPORT.json...
    python -m capgen._build.bundle int8 IMAGE_FOLDER

RUN_FOLDER is a staged run that started from the previous bundled model. The reports are those of
`capgen eval --json` on the model that was built, since its weights are in float16. The model card
and the licence are kept; edit the figures in the card by hand. `int8` comes last: it makes the
8-bit model from the one that is bundled, its scales from 768 images of the folder: training images
of Flickr8k. `capgen calibrate FOLDER --data-dir flickr8k --data-dir coco_sample` then fits the
confidence of either, again with `--beams 5` and with `--beams 1`.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import torch

from capgen.hub.files import without_paths
from capgen.images.folders import find_images
from capgen.models.checkpoint import load_captioning, save_captioning
from capgen.models.folder import BEST_EVAL, ModelFolder
from capgen.models.onnx.export import export_onnx
from capgen.models.provenance import PROVENANCE_FILE, Provenance
from capgen.models.resolve import BUNDLED
from capgen.paths import bundled_int8_dir, bundled_model_dir, writing
from capgen.registry.export import CalibrationOptions, export_model

CALIBRATION_IMAGES = 768
KEPT = ("README.md", "LICENSE-EfficientNet")
SCORER = "COCO captions, equal to pycocoevalcap 1.2; METEOR of NLTK with WordNet 3.0"
# Settings of a stage to record.
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
        training={**before.training, "stages": [*before.training["stages"], *_stages(run)]},
    )
    for part in (captioning.model.config.encoder, captioning.model.config.decoder):
        part.dtype = None  # the dtype of the whole model applies
    kept = {name: (output / name).read_bytes() for name in KEPT}
    save_captioning(output, captioning, provenance, dtype=torch.float16)
    size = before.training["model"]["image_size"]
    export_onnx(output, captioning.model, image_size=(size, size))
    for name, content in kept.items():
        (output / name).write_bytes(content)


def _stages(run: Path) -> list[dict[str, Any]]:
    """Return the settings of a run's stages."""
    stages = []
    for folder in sorted((run / "stages").iterdir()):
        training = ModelFolder(folder / BEST_EVAL, folder.name).provenance.training
        stages.append({name: training[name] for name in SETTINGS})
    return stages


def record(reports: dict[str, Path], output: Path) -> None:
    """Write the scores of reports into the record of their model."""
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
        raise ValueError(f"{path} is a report on other weights")
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
    action, *rest = arguments
    output = bundled_model_dir()
    if action == "build":
        build(Path(rest[0]), output)
    elif action == "record":
        pairs = (text.partition("=") for text in rest)
        record({name: Path(path) for name, _, path in pairs}, output)
    elif action == "int8":
        shutil.rmtree(bundled_int8_dir())
        images = sorted(find_images(Path(rest[0])))
        options = CalibrationOptions(images=CALIBRATION_IMAGES)
        output = bundled_int8_dir()
        export_model(BUNDLED, int8=True, images=images, output=output, calibration=options)
    else:
        raise SystemExit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
