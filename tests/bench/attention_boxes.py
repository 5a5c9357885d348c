"""Does the model look at the dog when it says "dog"?

    python tests/bench/attention_boxes.py flickr8k/Flicker8k_Dataset [--split test]

`dog_boxes.json` holds boxes that were drawn by hand (left, top, right, bottom as shares of the
image, one for every dog) on images of Flickr8k that show a dog and whose caption by the bundled
model says so, taken in a random order. An image's score is the share of the word's attention
within its boxes over their share of the area: 1 is what looking anywhere gives.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from capgen import Captioner
from capgen.errors import CapgenError

# Points a side that boxes are compared on.
POINTS = 720


def covered(boxes: list[list[float]], rows: int, columns: int) -> NDArray[np.float64]:
    """Return the share of each cell (rows, columns) that lies within a box."""
    mask = np.zeros((POINTS, POINTS), np.bool_)
    for left, top, right, bottom in np.rint(np.array(boxes) * POINTS).astype(int):
        mask[top:bottom, left:right] = True
    down = np.arange(POINTS) * rows // POINTS
    across = np.arange(POINTS) * columns // POINTS
    shares = np.zeros((rows, columns))
    np.add.at(shares, (down[:, None], across[None, :]), mask)
    counts = np.zeros((rows, columns))
    np.add.at(counts, (down[:, None], across[None, :]), 1)
    return shares / counts


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("images", type=Path)
    parser.add_argument("--split", default="test", choices=("val", "test"))
    parser.add_argument("--model", default=None)
    parser.add_argument("--word", default="dog")
    asked = parser.parse_args()
    boxes = json.loads((Path(__file__).parent / "dog_boxes.json").read_text())[asked.split]
    captioner = Captioner.from_pretrained(asked.model)
    ratios, areas, silent = [], [], []
    for name, drawn in boxes.items():
        try:
            caption = captioner.caption(asked.images / name, return_attention=True)
        except CapgenError as error:
            raise SystemExit(error.message) from error
        words = [word.text for word in caption.words]
        if asked.word not in words:
            silent.append(f"{name}: {caption.text}")
            continue
        assert caption.attention is not None
        heat = caption.attention[words.index(asked.word)]
        inside = covered(drawn, *heat.shape)
        areas.append(inside.mean())
        ratios.append(float((heat * inside).sum()) / areas[-1])
    values = np.array(ratios)
    means = np.random.default_rng(0).choice(values, (10_000, len(values))).mean(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    print(f"{len(values)} images of {asked.split}, boxes cover {np.mean(areas):.2f} of an image")
    print(f"attention share / area share: {values.mean():.2f} [{low:.2f}, {high:.2f}]")
    print(f"median {np.median(values):.2f}, least {values.min():.2f}, most {values.max():.2f}")
    print(f"images below 1: {(values < 1).sum()}")
    for line in silent:
        print(f"left out, does not say '{asked.word}': {line}")


if __name__ == "__main__":
    main()
