"""A runtime that remembers what its search found: what a confidence is computed from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from capgen.captioning.decoding.hypotheses import Hypothesis
from capgen.captioning.runtimes.base import Runtime
from capgen.config import DecodeSettings

Pixels = NDArray[np.float32]


class Watch:
    """Captions one batch as a runtime does, and keeps what the first search told.

    Args:
        runtime: What captions.

    Attributes:
        seen: For each image all hypotheses of the first search, best first, and the (D,)
            summary of what the encoder made of it.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.seen: list[tuple[list[Hypothesis], NDArray[np.float32]]] = []

    def generate(self, pixels: Pixels, settings: DecodeSettings) -> list[list[Hypothesis]]:
        """As `Runtime.generate`."""
        if self.seen:
            return self._runtime.generate(pixels, settings)
        wide = settings
        if settings.beams > 1 and not settings.sample:
            # All that a beam search has finished anyway.
            wide = replace(settings, num_captions=max(settings.num_captions, settings.beams))
        found, summaries = self._runtime.generate_summarised(pixels, wide)
        self.seen = list(zip(found, summaries, strict=True))
        return [hypotheses[: settings.num_captions] for hypotheses in found]

    def texts(self, ids: Sequence[int]) -> tuple[str, list[str]]:
        """As `Runtime.texts`."""
        return self._runtime.texts(ids)
