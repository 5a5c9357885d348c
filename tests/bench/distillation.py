"""Does a teacher help a smaller student? The same student alone and with the bundled teacher.

    python -m tests.bench.distillation FLICKR8K [--images 256] [--epochs 12] [--seeds 0 1 2]

A student with one decoder layer of half the teacher's width and a frozen EfficientNet-Lite0
learns from the first training images of Flickr8k (official layout); it is scored on the first
test images. For each seed the student starts from the same weights and vocabulary alone, with
the teacher's distribution token by token, and with the teacher's captions. The teacher has seen
all 6,000 training images: it brings what it knows of those. Prints a table and JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import torch

from capgen.config import train_config
from capgen.models.build_mini import MiniConfig, build_mini
from capgen.models.checkpoint import save_captioning
from capgen.models.loading import load_tokenizer
from capgen.models.provenance import Provenance
from capgen.models.resolve import resolve_model
from capgen.records import TestEvent
from capgen.training.run.train import train
from tests.minis import first_images

WAYS = {
    "alone": {},
    "token": {"distill": "token"},
    "sequence": {"distill": "sequence"},
}
METRICS = ("CIDEr-D", "BLEU-4", "METEOR", "ROUGE-L")


def main() -> None:
    asked = _arguments()
    results: dict[str, list[dict[str, float]]] = {way: [] for way in asked.ways}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        counts = {"train": asked.images, "dev": 32, "test": asked.test}
        data = first_images(asked.data, folder / "data", counts)
        for seed in asked.seeds:
            student = _student(folder / f"student-{seed}", asked, seed)
            for way in asked.ways:
                began = time.monotonic()
                scores = _run(asked, data, student, folder / f"{way}-{seed}", way, seed)
                results[way].append(scores)
                shown = "  ".join(f"{metric} {scores[metric]:.3f}" for metric in METRICS)
                print(f"{way} {seed}: {shown} ({time.monotonic() - began:.0f} s)", flush=True)
    print(f"\n{'':10}" + "".join(f"{metric:>18}" for metric in METRICS))
    for way, scores in results.items():
        cells = [_mean_and_spread([one[metric] for one in scores]) for metric in METRICS]
        print(f"{way:10}" + "".join(f"{cell:>18}" for cell in cells))
    print(json.dumps(results))


def _run(
    asked: argparse.Namespace, data: Path, student: Path, run: Path, way: str, seed: int
) -> dict[str, float]:
    """Train a student; return its scores on test."""
    teacher = None if way == "alone" else asked.teacher
    config = train_config(
        "mini",
        init=str(student),
        data_dir=data,
        output_dir=run,
        train_encoder="none",
        teacher=teacher,
        distill_weight=asked.weight,
        distill_temperature=asked.temperature,
        num_epochs=asked.epochs,
        batch_size=32,
        learning_rate=2e-3,
        warmup_steps=20,
        dropout=0.1,
        ema_decay=0.98,
        eval=True,
        eval_every=asked.epochs,
        save_every=0,
        seed=seed,
        device="cpu",
        **WAYS[way],
    )
    (test,) = (event for event in train(config) if isinstance(event, TestEvent))
    return {metric: test.metrics[metric] for metric in METRICS}


def _student(folder: Path, asked: argparse.Namespace, seed: int) -> Path:
    """Write an untrained student with the teacher's vocabulary."""
    torch.manual_seed(seed)
    words = load_tokenizer(resolve_model(asked.teacher)).backend_tokenizer  # type: ignore[attr-defined]
    shape = MiniConfig(variant="lite0", image_size=160, hidden_size=128, decoder_layers=1)
    save_captioning(folder, build_mini(words, shape), Provenance(preset="mini"))
    return folder


def _mean_and_spread(values: list[float]) -> str:
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.3f} ± {spread:.3f}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="Flickr8k in its official layout")
    parser.add_argument("--teacher", default="mini")
    parser.add_argument("--images", type=int, default=256, help="training images")
    parser.add_argument("--test", type=int, default=200, help="test images")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--weight", type=float, default=0.5)
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    return parser.parse_args()


if __name__ == "__main__":
    main()
