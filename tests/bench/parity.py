"""Do both runtimes, and batches of any size, give the same captions?

    python tests/bench/parity.py FOLDER [--images 200]

Lists every image whose captions or scores (by more than 1e-4) differ.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from capgen import Captioner
from capgen.config import DecodeOptions
from capgen.images.folders import find_images
from capgen.records import Caption


def captions(captioner: Captioner, images: list[Path], beams: int, batch: int) -> list[Caption]:
    records = captioner.stream(images, DecodeOptions(beams=beams), batch_size=batch)
    return [record for record in records if isinstance(record, Caption)]


def compare(name: str, first: list[Caption], second: list[Caption]) -> None:
    largest = max(abs(a.score - b.score) for a, b in zip(first, second, strict=True))
    print(f"{name}: {len(first)} images, largest difference of scores {largest:.1e}")
    for a, b in zip(first, second, strict=True):
        if a.text != b.text or abs(a.score - b.score) > 1e-4:
            print(f"  {a.path}: {a.text!r} ({a.score:.6f}) / {b.text!r} ({b.score:.6f})")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=200)
    asked = parser.parse_args()
    images = find_images(asked.folder)[: asked.images]
    onnx = Captioner.from_pretrained(runtime="onnx")
    torch = Captioner.from_pretrained(runtime="torch")
    for name, beams in (("greedy", 1), ("beams 3", 3), ("beams 5", 5)):
        batched = captions(onnx, images, beams, 16)
        compare(f"onnx / torch, {name}", batched, captions(torch, images, beams, 16))
        compare(f"onnx batch of 16 / single, {name}", batched, captions(onnx, images, beams, 1))


if __name__ == "__main__":
    main()
