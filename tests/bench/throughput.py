"""Images a second: capgen's CPU runtime, a plain `generate` loop, and the encoder alone.

    python tests/bench/throughput.py FOLDER [--images 200] [--beams 5] [--rounds 3]

All on the same weights and images, interleaved in one run; the captions must agree.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from capgen import Captioner
from capgen.captioning.runtimes.onnx_runtime import OnnxRuntime
from capgen.config import DecodeOptions
from capgen.images.folders import find_images
from capgen.models.checkpoint import load_captioning
from capgen.models.resolve import resolve_model
from capgen.records import Caption

BATCH = 16


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--beams", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    images = find_images(asked.folder)[: asked.images]
    captioner = Captioner.from_pretrained(runtime="onnx")
    runtime = captioner.runtime
    assert isinstance(runtime, OnnxRuntime)
    captioning = load_captioning(resolve_model())
    model, tokenizer = captioning.model.eval(), captioning.tokenizer

    def with_capgen() -> list[str]:
        records = captioner.stream(images, DecodeOptions(beams=asked.beams), batch_size=BATCH)
        return [record.text for record in records if isinstance(record, Caption)]

    def with_generate() -> list[str]:
        texts = []
        for path in images:
            image = Image.open(path).convert("RGB")
            pixels = torch.from_numpy(runtime.preprocessor.preprocess(image)[None])
            with torch.inference_mode():
                ids = model.generate(pixel_values=pixels, num_beams=asked.beams)
            texts.append(tokenizer.decode(ids[0], skip_special_tokens=True))
        return texts

    arrays = np.stack(
        [runtime.preprocessor.preprocess(Image.open(path).convert("RGB")) for path in images]
    )

    def encoder_alone() -> list[str]:
        for start in range(0, len(arrays), BATCH):
            runtime.encode(arrays[start : start + BATCH])
        return []

    contestants: dict[str, Callable[[], list[str]]] = {
        "encoder alone": encoder_alone,
        "capgen": with_capgen,
        "generate loop": with_generate,
    }
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    texts: dict[str, list[str]] = {}
    for _ in range(asked.rounds):
        for name, contestant in contestants.items():
            started = time.perf_counter()
            texts[name] = contestant()
            seconds[name].append(time.perf_counter() - started)
    median = {name: statistics.median(values) / len(images) for name, values in seconds.items()}
    for name, value in median.items():
        print(f"{name:14} {1000 * value:7.1f} ms an image   {1 / value:7.1f} photos/s")
    differing = sum(a != b for a, b in zip(texts["capgen"], texts["generate loop"], strict=True))
    print(f"capgen / generate loop: {median['generate loop'] / median['capgen']:.1f} times faster")
    print(f"capgen / encoder alone: {median['encoder alone'] / median['capgen']:.2f} of its rate")
    print(f"captions that differ:   {differing} of {len(images)}")


if __name__ == "__main__":
    main()
