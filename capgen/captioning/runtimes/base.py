"""What a runtime offers, whichever library computes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from capgen.captioning.decoding.hypotheses import Hypothesis, NounTable
from capgen.config import DecodeSettings
from capgen.models.preprocessing.preprocess import Preprocessor


@dataclass(frozen=True)
class Replay:
    """What the model computes while the tokens of a caption are fed to it one by one.

    Attributes:
        log_probs: (T, V) float32, the model's distribution over the vocabulary at each given
            token, before any decoding setting changes it.
        attention: (T, layers, heads, cells) float32 cross-attention at each given token;
            over the cells it sums to one.
    """

    log_probs: NDArray[np.float32]
    attention: NDArray[np.float32]


@dataclass(frozen=True)
class Generated:
    """What a model generated for a batch of images.

    Attributes:
        hypotheses: For each image, best first: all finished beams of a beam search, else
            `num_captions` samples, or the one greedy caption.
        summarise: Returns a summary (B, D) float32 of each image: the mean of the first decoder
            layer's cross-attention values over the image's cells (without cross-attention, of
            the encoder's states), the same in both runtimes. Raises ModelError if the model's
            encoder is not known.
    """

    hypotheses: list[list[Hypothesis]]
    summarise: Callable[[], NDArray[np.float32]]


class Runtime(Protocol):
    """Captions prepared images with one model.

    Attributes:
        name: `onnx` or `torch`.
        device: Where it computes, such as `cpu` or `cuda`.
        dtype: Type it computes in, such as `float32`.
        preprocessor: How images become its input.
        nouns: Which tokens begin which noun, so that a caption uses each noun once; None where
            that is unknown, as for languages other than English.
    """

    name: str
    device: str
    dtype: str
    preprocessor: Preprocessor

    @property
    def nouns(self) -> NounTable | None: ...

    def generate(self, pixels: NDArray[np.float32], settings: DecodeSettings) -> Generated:
        """Caption pixels (B, 3, H, W) float32."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of token ids, special tokens left out."""
        ...

    def obstacle(self) -> str:
        """Return why captions cannot be replayed, or an empty string."""
        ...

    def features(self, pixels: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """Return what the decoder sees of one image's pixels (3, H, W), by name.

        Raises:
            ModelError: The model has its own code, and its encoder is not known.
        """
        ...

    def replay(self, pixels: NDArray[np.float32], ids: Sequence[int]) -> Replay:
        """Feed the tokens (at least one) of a caption of one image's pixels (3, H, W).

        Raises:
            ModelError: The model has no cross-attention.
        """
        ...
