"""A captioner that only looks at colours, and images to show it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from capgen.captioning.captioner import Captioner
from capgen.captioning.decoding.hypotheses import Hypothesis
from capgen.captioning.runtimes.base import Generated, ModelInput
from capgen.captioning.runtimes.pixel_runtime import stacked
from capgen.config import DecodeSettings
from capgen.models.folder import ModelFolder
from capgen.models.preprocessing.preprocess import Preprocessor
from capgen.paths import bundled_model_dir
from capgen.records import Concept
from tests.pixel_fakes import ScriptedPixels


class ColourRuntime(ScriptedPixels):
    """Says the mean red of an image as a token, and counts what it was shown.

    With `concepts` it tells these of every image, and "red thing" with the red as its probability.
    """

    name = "colours"
    device = "cpu"
    dtype = "float32"
    nouns = None

    def __init__(
        self, preprocessor: Preprocessor | None = None, concepts: tuple[Concept, ...] = ()
    ) -> None:
        self.preprocessor = preprocessor or Preprocessor(size=(4, 4))
        self.concepts = concepts
        self.batches: list[int] = []
        self.settings: list[DecodeSettings] = []
        self._lock = threading.Lock()

    @property
    def gives_concepts(self) -> bool:
        return bool(self.concepts)

    @property
    def seen(self) -> int:
        return sum(self.batches)

    def generate(self, inputs: Sequence[ModelInput], settings: DecodeSettings) -> Generated:
        pixels = stacked(inputs)
        with self._lock:
            self.batches.append(len(pixels))
            self.settings.append(settings)
        reds = np.rint(pixels[:, 0].mean(axis=(1, 2)) * 255).astype(int)
        found = [
            [
                Hypothesis((int(red), rank), (-1.0 - rank, -0.5), -1.5 - rank)
                for rank in range(settings.num_captions)
            ]
            for red in reds
        ]
        concepts = [self._concepts(int(red)) for red in reds] if self.concepts else ()
        return Generated(found, lambda: reds[:, None].astype(np.float32), concepts=concepts)

    def _concepts(self, red: int) -> tuple[Concept, ...]:
        every = (*self.concepts, Concept("red thing", red / 255))
        return tuple(sorted(every, key=lambda concept: -concept.probability))

    def decode(self, ids: Sequence[int]) -> str:
        return " ".join(map(str, ids))


def colour_captioner(
    name: str = "colours", concepts: tuple[Concept, ...] = ()
) -> tuple[Captioner, ColourRuntime]:
    """Return a captioner over a new `ColourRuntime`, and that runtime."""
    runtime = ColourRuntime(concepts=concepts)
    return Captioner(ModelFolder(bundled_model_dir(), name, revision="r1"), runtime), runtime


def plain(folder: Path, name: str, red: int) -> Path:
    """Write an image of one colour, whose caption is `RED 0`."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 6), (red, 0, 0)).save(path)
    return path


def plains(folder: Path, count: int) -> list[Path]:
    """Write `count` images, captioned `0 0`, `1 0`, …"""
    return [plain(folder, f"{red:03}.png", red) for red in range(count)]
