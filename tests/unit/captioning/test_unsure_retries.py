"""A caption that had to be tried again has no confidence: fits know first captions only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from capgen.captioning.captioner import Captioner
from capgen.captioning.decoding.hypotheses import hypothesis
from capgen.captioning.decoding.noun_table import NounTable
from capgen.captioning.prepare import Prepared
from capgen.captioning.runtimes.base import Generated, ModelInput
from capgen.config import DecodeOptions
from capgen.models.folder import ModelFolder
from capgen.paths import bundled_model_dir
from capgen.records import Caption, CaptionFailure
from tests.pixel_fakes import ScriptedPixels

WORDS = {5: "a", 6: "dog", 7: "in the snow", 2: ""}


class Stuck(ScriptedPixels):
    """A runtime whose first search repeats itself about every second image."""

    name, device, dtype = "stuck", "cpu", "float32"
    gives_concepts = True
    nouns = NounTable(np.zeros(len(WORDS), np.int64))

    def __init__(self, width: int) -> None:
        self.width = width
        self.searches = 0

    def generate(self, inputs: Any, settings: Any) -> Generated:
        self.searches += 1
        if self.searches == 1:
            said = ([5, 6, 7, 2], [5, 7, 7, 2])
            found = [[hypothesis(said[row % 2], [-0.5] * 4, 1.0)] for row in range(len(inputs))]
        else:
            found = [[hypothesis([5, 6, 2], [-0.1] * 3, 1.0)] for _ in inputs]
        return Generated(found, lambda: np.zeros((len(inputs), self.width), np.float32))

    def decode(self, ids: Sequence[int]) -> str:
        return "".join(f" {WORDS[token]}" for token in ids)


def captions(**options: Any) -> list[Any]:
    folder = ModelFolder(bundled_model_dir(), "mini")
    runtime: Any = Stuck(int(folder.config["decoder"]["n_embd"]))
    captioner = Captioner(folder, runtime)
    settings, notes = captioner.settings(DecodeOptions(**options))
    pixels = np.zeros((3, 2, 2), np.float32)
    batch = [Prepared(f"{name}.jpg", 2, 2, ModelInput(pixels)) for name in "ab"]
    return captioner.caption_prepared(batch, settings, notes)


def test_no_confidence() -> None:
    first, second = captions(confidence=True)
    assert isinstance(first, Caption) and first.confidence is not None and first.retry is None
    assert isinstance(second, Caption) and second.retry is not None
    assert (second.text, second.confidence) == ("a dog", None)


def test_abstaining() -> None:
    _, second = captions(min_confidence=0.0)
    assert isinstance(second, CaptionFailure)
    assert second.code == "low_confidence" and "after a retry" in second.message
