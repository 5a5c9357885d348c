"""Photos as phones take them, made of smaller ones: 12 megapixels, noise, some turned.

    python -m tests.bench.phone_photos FOLDER OUTPUT [--images 200]

An enlarged photo has no detail of its own, so noise stands in for it: without, files would be a
fraction of a phone's and decode faster. `tests/bench/batch.py --phone` measures with them.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from capgen.captioning.runtimes.cores import usable_cores
from capgen.images.folders import find_images

SIZE = (4000, 3000)
# Of 8-bit values; with it, files of quality 90 have 2 to 4 MB.
_NOISE = 4.0
_MARGIN = 256
_ORIENTATION = 0x0112
# How phones are held: mostly level, some upright (6 and 8), some upside down.
_ORIENTATIONS = (1, 6, 1, 8, 1, 6, 3, 1)
_TURNS = {
    6: Image.Transpose.ROTATE_90,
    8: Image.Transpose.ROTATE_270,
    3: Image.Transpose.ROTATE_180,
}
# In libjpeg's numbers: 2 is 4:2:0, as phones store; 1 is 4:2:2, as many cameras do.
_SUBSAMPLINGS = (2, 2, 1)
_EVERY_PROGRESSIVE = 10


def make_photos(sources: list[Path], folder: Path, count: int) -> list[Path]:
    """Write `count` JPEGs of 12 megapixels into a folder and return their paths.

    Args:
        sources: Small photos, used again if they are fewer than `count`.
        folder: Where to write them.
        count: How many.
    """
    generator = np.random.default_rng(7)
    width, height = SIZE
    grain = generator.normal(0, _NOISE, (height + _MARGIN, width + _MARGIN)).astype(np.int8)

    def make(numbered: tuple[int, Path]) -> Path:
        number, source = numbered
        path = folder / f"{number:05}.jpg"
        _make(source, grain, number, path)
        return path

    with ThreadPoolExecutor(usable_cores()) as pool:
        return list(pool.map(make, enumerate(islice(cycle(sources), count))))


def _make(source: Path, grain: NDArray[np.int8], number: int, path: Path) -> None:
    width, height = SIZE
    orientation = _ORIENTATIONS[number % len(_ORIENTATIONS)]
    with Image.open(source) as small:
        upright = small.convert("RGB")
    turn = _TURNS.get(orientation)
    stored = upright if turn is None else upright.transpose(turn)
    pixels = np.array(stored.resize(SIZE, Image.Resampling.BICUBIC), dtype=np.int16)
    left, top = number * 37 % _MARGIN, number * 101 % _MARGIN
    pixels += grain[top : top + height, left : left + width, None]
    exif = Image.Exif()
    exif[_ORIENTATION] = orientation
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(
        path,
        quality=90,
        subsampling=_SUBSAMPLINGS[number % len(_SUBSAMPLINGS)],
        progressive=number % _EVERY_PROGRESSIVE == _EVERY_PROGRESSIVE - 1,
        exif=exif,
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--images", type=int, default=200)
    asked = parser.parse_args()
    asked.output.mkdir(parents=True, exist_ok=True)
    photos = make_photos(find_images(asked.folder), asked.output, asked.images)
    print(f"{len(photos)} photos, {sum(p.stat().st_size for p in photos) / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
