"""Where a captioner looked: cross-attention over the image for each word of a caption.

The tokens of a caption are fed to the model again. The attention of each token is averaged over
all layers and heads, and over the tokens of a word; the class token's share is dropped and the
rest normalised. `capgen.explain` draws the maps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from capgen.captioning.runtimes.base import ModelInput, Runtime
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
        image: What the maps cover: all of the image that the model sees.
    """

    words: tuple[str, ...]
    maps: Floats
    image: Image.Image


def with_attention(runtime: Runtime, image: ModelInput, caption: Caption, name: str) -> Caption:
    """Return a caption of one image, and its alternatives, with their `attention`.

    Raises:
        ModelError: The model has no cross-attention, or its image features are not a grid.
    """
    captions = [
        replace(each, attention=word_maps(runtime, image, each, name))
        for each in (caption, *caption.alternatives)
    ]
    return replace(captions[0], alternatives=tuple(captions[1:]))


def word_maps(runtime: Runtime, image: ModelInput, caption: Caption, name: str) -> Floats:
    """Return the attention maps (words, rows, columns) of a caption; see `with_attention`."""
    ids = [token.id for token in caption.tokens if token.id is not None]
    # An empty caption is replayed by its start token alone, which shows the grid.
    replayed = runtime.replay(image, ids or [0])
    return maps_of(caption.words, replayed.attention, image.pixels.shape[1:], name)


def maps_of(words: Sequence[Word], attention: Floats, size: tuple[int, ...], name: str) -> Floats:
    """Average attention (T, layers, heads, cells) to one map per word, which sums to one.

    `size` is the (height, width) of the model's input; the maps are (words, rows, columns).
    """
    cells = attention.mean(axis=(1, 2))
    rows, columns = _grid(cells.shape[1], size, name)
    cells = cells[:, cells.shape[1] - rows * columns :]  # without a ViT's class token
    maps = [cells[list(word.places)].mean(axis=0) for word in words]
    grids = np.array(maps, dtype=np.float32).reshape(len(words), rows, columns)
    total = grids.sum(axis=(1, 2), keepdims=True)
    return grids / np.maximum(total, np.finfo(np.float32).tiny)


def seen_part(preprocessor: Preprocessor | None, image: Image.Image) -> Image.Image:
    """Return the part of an image that the model sees: all of it unless the model crops."""
    if preprocessor is None or preprocessor.crop is None:
        return image
    return Image.fromarray(preprocessor.reshape(image))


def _grid(cells: int, size: tuple[int, ...], name: str) -> tuple[int, int]:
    """Return rows and columns of square patches over an image of (height, width) `size`."""
    height, width = size
    for places in (cells, cells - 1):
        columns = round((places * width / height) ** 0.5)
        if columns and places % columns == 0:
            rows = places // columns
            if abs(rows * width - columns * height) < max(height, width):
                return rows, columns
    raise ModelError(f"{name}: its {cells} image features do not form a grid over the image")
