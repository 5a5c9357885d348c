"""Loading training images: Pillow each time, beside the cache of decoded images.

    python tests/bench/data_loading.py PATH_OF_A_DATA_SET [SIZE]

Prints images a second on this machine; both ways in the same run, in random order.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from capgen.data.cache.images import CachedImages, cached_images
from capgen.data.dataset import load_dataset
from tests.minis import squash

BATCH = 64


def by_pillow(files: list[Path], size: int, threads: int) -> float:
    """Return images a second of decoding and resizing."""

    def load(file: Path) -> np.ndarray:
        with Image.open(file) as image:
            resized = image.convert("RGB").resize((size, size), Image.Resampling.BICUBIC)
            return np.asarray(resized)

    began = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(files), BATCH):
            np.stack(list(pool.map(load, files[start : start + BATCH])))
    return len(files) / (time.perf_counter() - began)


def by_cache(images: CachedImages, order: np.ndarray) -> float:
    """Return images a second of taking batches from the cache."""
    began = time.perf_counter()
    for start in range(0, len(order), BATCH):
        images.take(order[start : start + BATCH])
    return len(order) / (time.perf_counter() - began)


def main() -> None:
    """Print the figures."""
    size = int(sys.argv[2]) if len(sys.argv) > 2 else 288
    files = [example.image for example in load_dataset(Path(sys.argv[1])).examples]
    rng = np.random.default_rng(0)
    cores = os.cpu_count() or 1
    print(f"{len(files)} images to {size}×{size}, batches of {BATCH}, {cores} cores")
    for threads in (1, cores):
        speed = by_pillow(files, size, threads)
        print(f"Pillow, {threads} threads, every epoch: {speed:,.0f} pictures/s")
    with tempfile.TemporaryDirectory() as home:
        os.environ["CAPGEN_HOME"] = home
        began = time.perf_counter()
        events = cached_images(files, squash(size))
        while True:
            try:
                next(events)
            except StopIteration as end:
                images = end.value
                break
        built = time.perf_counter() - began
        first = by_cache(images, rng.permutation(len(files)))
        epoch = len(files) / (built + len(files) / first)
        print(f"cache, first epoch, making it included: {epoch:,.0f} pictures/s")
        for number in (2, 3, 4):
            speed = by_cache(images, rng.permutation(len(files)))
            print(f"cache, epoch {number}: {speed:,.0f} pictures/s")


if __name__ == "__main__":
    main()
