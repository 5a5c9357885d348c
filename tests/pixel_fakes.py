"""A base for runtimes that tests script: what they are not asked for fails."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from capgen.captioning.runtimes.base import Generated, ModelInput, Replay
from capgen.captioning.runtimes.pixel_runtime import PixelRuntime
from capgen.config import DecodeSettings


class ScriptedPixels(PixelRuntime):
    """A runtime of pixels that can do nothing by itself."""

    device = "cpu"
    dtype = "float32"
    nouns = None

    def token_ids(self, text: str) -> tuple[int, ...]:
        raise AssertionError(f"the tokens of {text!r} were asked for")

    def generate(self, inputs: Sequence[ModelInput], settings: DecodeSettings) -> Generated:
        raise AssertionError("a caption was asked for")

    def decode(self, ids: Sequence[int]) -> str:
        raise AssertionError(f"the text of {ids} was asked for")

    def obstacle(self) -> str:
        return "this runtime replays nothing"

    def features(self, image: ModelInput) -> dict[str, NDArray[np.float32]]:
        raise AssertionError("features were asked for")

    def replay(self, image: ModelInput, ids: Sequence[int]) -> Replay:
        raise AssertionError("a replay was asked for")
