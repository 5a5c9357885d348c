"""Where a captioner looked: cross-attention over the image for each word of a caption.

The tokens of a caption are fed to the model again. The attention behind each token is averaged
over all layers and heads, and over the tokens of a word; a class token's share is dropped and
the rest made to sum to one. Knows nothing about how maps are drawn (see `capgen.explain`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from capgen.captioning.runtimes.base import Runtime
from capgen.errors import ModelError
from capgen.records import Caption, Word

if TYPE_CHECKING:
    from capgen.models.preprocessing.preprocess import Preprocessor

Floats = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class CaptionAttention:
    """Where the model looked for each word.

    Attributes:
        words: The words of the caption.
        maps: (words, rows, columns) float32, how much of a word's attention each part of
            `image` got; each word's map sums to 1.
        image: What the maps cover: the whole image, or the part of it that the model sees.
    """

    words: tuple[str, ...]
    maps: Floats
    image: Image.Image


def with_attention(runtime: Runtime, pixels: Floats, caption: Caption, name: str) -> Caption:
    """Return a caption and its alternatives with their `attention`.

    Args:
        runtime: The model that made the caption.
        pixels: (3, H, W) float32, the image as the model takes it.
        caption: The caption, with its tokens.
        name: What the model is called.

    Raises:
        ModelError: The model has no cross-attention, or its image features are not a grid.
    """
    others = tuple(with_attention(runtime, pixels, other, name) for other in caption.alternatives)
    maps = word_maps(runtime, pixels, caption, name)
    return replace(caption, attention=maps, alternatives=others)


def word_maps(runtime: Runtime, pixels: Floats, caption: Caption, name: str) -> Floats:
    """Return the attention maps (words, rows, columns) float32 of a caption's words.

    Args, Raises: As for `with_attention`.
    """
    ids = [token.id for token in caption.tokens]
    # An empty caption is replayed by its start alone: the grid is known from that.
    replayed = runtime.replay(pixels, ids or [0])
    return maps_of(caption.words, replayed.attention, pixels.shape[1:], name)


def maps_of(words: Sequence[Word], attention: Floats, size: tuple[int, ...], name: str) -> Floats:
    """Average attention to one map per word.

    Args:
        words: The words.
        attention: (T, layers, heads, cells) float32, as in `Replay`.
        size: (height, width) of the model's input.
        name: What the model is called.

    Returns:
        (words, rows, columns) float32; each map sums to one.

    Raises:
        ModelError: The image features are not a grid.
    """
    cells = attention.mean(axis=(1, 2))
    rows, columns = _grid(cells.shape[1], size, name)
    cells = cells[:, cells.shape[1] - rows * columns :]  # without a ViT's class token
    maps = [cells[list(word.places)].mean(axis=0) for word in words]
    found = np.array(maps, dtype=np.float32).reshape(len(words), rows, columns)
    total = found.sum(axis=(1, 2), keepdims=True)
    return found / np.maximum(total, np.finfo(np.float32).tiny)


def seen_part(preprocessor: Preprocessor, image: Image.Image) -> Image.Image:
    """Return the part of an image that the model sees: all of it unless the model crops."""
    return image if preprocessor.crop is None else Image.fromarray(preprocessor.reshape(image))


def _grid(cells: int, size: tuple[int, ...], name: str) -> tuple[int, int]:
    """Return rows and columns of the image features of an image of (height, width) `size`.

    Raises:
        ModelError: No grid of square patches, with or without a class token, has that many cells.
    """
    height, width = size
    for places in (cells, cells - 1):
        columns = round((places * width / height) ** 0.5)
        if columns and places % columns == 0:
            rows = places // columns
            if abs(rows * width - columns * height) < max(height, width):
                return rows, columns
    raise ModelError(f"{name}: its {cells} image features are no grid over the image")
