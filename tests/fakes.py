"""Stand-ins: a scripted decoder and drawn images."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from capgen.captioning.decoding.hypotheses import log_softmax, with_others
from capgen.output.base import format_of
from capgen.output.formats import open_format
from capgen.records import Record

Row = NDArray[np.float32]
Script = Callable[[int, tuple[int, ...]], Row]


class ScriptedModel:
    """A step model whose logits are a function of the image and the tokens so far.

    It remembers what each row has said, and checks that rows stay with their image.
    """

    def __init__(self, script: Script, images: int) -> None:
        self.script = script
        self.images = list(range(images))
        self.rows: list[tuple[int, tuple[int, ...]]] = [(image, ()) for image in range(images)]
        self.kept: list[list[int]] = []
        self.batches: list[int] = []

    def logits(self, ids: NDArray[np.int64], parents: NDArray[np.int64]) -> NDArray[np.float32]:
        batch, beams = ids.shape
        assert batch == len(self.images)
        assert len(parents) == batch * beams
        self.batches.append(batch)
        rows = []
        for place, (token, parent) in enumerate(zip(ids.ravel(), parents, strict=True)):
            image, said = self.rows[parent]
            assert image == self.images[place // beams], "a row continues another image's row"
            rows.append((image, (*said, int(token))))
        self.rows = rows
        return np.stack([self.script(image, said) for image, said in rows]).astype(np.float32)

    def top(
        self,
        ids: NDArray[np.int64],
        parents: NDArray[np.int64],
        count: int,
        also: NDArray[np.int64] | None = None,
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        scores = log_softmax(self.logits(ids, parents))
        best = np.argsort(-scores, axis=1, kind="stable")[:, :count]
        if also is not None:
            best = with_others(best, also)
        return np.take_along_axis(scores, best, axis=1), best

    def keep(self, images: NDArray[np.int64]) -> None:
        self.kept.append([self.images[index] for index in images])
        self.images = self.kept[-1]


def random_script(vocabulary: int, *, spread: float = 2.0, seed: int = 0) -> Script:
    """Return a script of random logits, the same for the same image and tokens."""

    def script(image: int, said: tuple[int, ...]) -> Row:
        key = zlib.crc32(repr((seed, image, said)).encode())
        drawn = np.random.default_rng(key).normal(0, spread, vocabulary)
        return drawn.astype(np.float32)

    return script


def draw_image(seed: int, size: tuple[int, int] = (320, 240)) -> Image.Image:
    """Draw an image with a sky, a ground and some shapes; every seed another."""
    rng = np.random.default_rng(seed)
    width, height = size
    rows = np.linspace(0, 1, height)[:, None, None]
    colours = rng.integers(0, 256, (2, 3))
    ground = colours[0] * (1 - rows) + colours[1] * rows
    noise = rng.normal(0, 12, (height, width, 3))
    image = Image.fromarray(np.clip(ground + noise, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(3, 9))):
        left, top = int(rng.integers(0, width)), int(rng.integers(0, height))
        right, bottom = left + int(rng.integers(20, 160)), top + int(rng.integers(20, 160))
        fill = tuple(int(value) for value in rng.integers(0, 256, 3))
        shape = draw.ellipse if rng.random() < 0.5 else draw.rectangle
        shape((left, top, right, bottom), fill=fill)
    return image


def names(folder: Path) -> list[str]:
    """Return what is in a folder, hidden files included."""
    return sorted(entry.name for entry in folder.iterdir())


def write_records(path: Path, records: Iterable[Record]) -> None:
    """Write records to a file as a batch does."""
    with open_format(path, format_of(path)) as write:
        for record in records:
            write(record, None)
