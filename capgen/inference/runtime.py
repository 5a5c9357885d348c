"""What a runtime offers, whichever library computes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from capgen.config import DecodeSettings
from capgen.inference.hypotheses import Hypothesis
from capgen.models.preprocess import Preprocessor


class Runtime(Protocol):
    """Captions prepared pictures with one model.

    Attributes:
        name: `onnx` or `torch`.
        device: Where it computes, as in `cpu` or `cuda`.
        preprocessor: How pictures become its input.
    """

    name: str
    device: str
    preprocessor: Preprocessor

    def generate(
        self, pixels: NDArray[np.float32], settings: DecodeSettings
    ) -> list[list[Hypothesis]]:
        """Caption pixels (B, 3, H, W) float32: for each picture hypotheses, best first."""
        ...

    def texts(self, ids: Sequence[int]) -> tuple[str, list[str]]:
        """Return the text of token ids, special tokens left out, and each token's part of it."""
        ...


def token_texts(
    decode: Callable[[Sequence[int]], str], ids: Sequence[int]
) -> tuple[str, list[str]]:
    """Return the text of token ids and what each token adds to it.

    Args:
        decode: A tokenizer's decoding, which leaves special tokens out.
        ids: Generated tokens.
    """
    texts = ["", *(decode(ids[: count + 1]) for count in range(len(ids)))]
    # A token that is part of a character changes what came before it; then it adds nothing yet.
    parts = [
        after[len(before) :] if after.startswith(before) else ""
        for before, after in itertools.pairwise(texts)
    ]
    return texts[-1].strip(), parts
