"""Where a captioner looked: cross-attention over the photo for each word of a caption.

A caption is replayed through the ONNX decoder; the attention that produced each token is
averaged over layers and heads, and over the tokens of a word. ONNX models only: torch models
have no such output here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from capgen.config import ImageLimits
from capgen.errors import ModelError
from capgen.inference.captioner import Captioner, ImageInput
from capgen.inference.images import DEFAULT_LIMITS, load_image
from capgen.inference.runtime import Runtime
from capgen.records import Caption, Token

Floats = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class CaptionAttention:
    """Where the model looked for each word.

    Attributes:
        words: The words of the caption.
        maps: (words, rows, columns) float32, how much of a word's attention each part of
            `picture` got; each word's map sums to 1.
        picture: What the maps cover: the photo, or the part of it that the model sees.
    """

    words: tuple[str, ...]
    maps: Floats
    picture: Image.Image


def explains(captioner: Captioner) -> bool:
    """Whether attention can be had: the model runs in ONNX Runtime."""
    return captioner.runtime.name == "onnx"


def explain(
    captioner: Captioner,
    image: ImageInput,
    caption: Caption,
    *,
    limits: ImageLimits = DEFAULT_LIMITS,
) -> CaptionAttention:
    """Replay a caption and return where the model looked.

    Args:
        captioner: The model that made the caption.
        image: The photo.
        caption: The caption, with its tokens.
        limits: The largest picture to decode.

    Raises:
        ImageError: The photo cannot be read.
        ModelError: The model does not run in ONNX Runtime, or its image features are no grid.
    """
    if not explains(captioner):
        raise ModelError(
            f"{captioner.name} runs in {captioner.runtime.name}: attention needs ONNX Runtime"
        )
    photo = load_image(image, limits=limits).image
    preprocessor = captioner.runtime.preprocessor
    pixels = preprocessor.preprocess(photo)
    words, tokens = _words(caption.tokens)
    cells = _replay(captioner.runtime, pixels, [token.id for token in caption.tokens])
    rows, columns = _grid(cells.shape[1], pixels.shape[1:], captioner.name)
    cells = cells[:, cells.shape[1] - rows * columns :]  # without a ViT's class token
    maps = np.stack([cells[list(places)].mean(axis=0) for places in tokens]) if words else cells[:0]
    maps /= np.maximum(maps.sum(axis=1, keepdims=True), np.finfo(np.float32).tiny)
    whole = preprocessor.crop is None
    return CaptionAttention(
        words=tuple(words),
        maps=maps.reshape(-1, rows, columns).astype(np.float32),
        picture=photo if whole else Image.fromarray(preprocessor.reshape(photo)),
    )


def _replay(runtime: Runtime, pixels: Floats, ids: Sequence[int]) -> Floats:
    """Return (tokens, cells) attention, averaged over layers and heads; one row at least."""
    decoder = runtime.start(runtime.encode(pixels[None]))  # type: ignore[attr-defined]
    said = [runtime.tokens.start, *ids[:-1]]  # type: ignore[attr-defined]
    steps = []
    for token in said:
        _, layers = decoder.logits_and_attention(np.array([[token]]), np.zeros(1, np.int64))
        # Each layer is (1, heads, 1, cells).
        steps.append(np.mean([layer[0, :, 0] for layer in layers], axis=(0, 1)))
    return np.array(steps, dtype=np.float32)


def _words(tokens: Sequence[Token]) -> tuple[list[str], list[list[int]]]:
    """Group tokens into words; return the words and the places of their tokens."""
    words: list[str] = []
    places: list[list[int]] = []
    for place, token in enumerate(tokens):
        if not token.text:
            continue  # the end, or the first part of a character that a later token completes
        if not words or token.text[:1].isspace():
            words.append("")
            places.append([])
        words[-1] += token.text.strip()
        places[-1].append(place)
    return words, places


def _grid(cells: int, size: tuple[int, ...], name: str) -> tuple[int, int]:
    """Return rows and columns of the image features of a photo of (height, width) `size`.

    Raises:
        ModelError: No grid of square patches, with or without a class token, has so many.
    """
    height, width = size
    for places in (cells, cells - 1):
        columns = round((places * width / height) ** 0.5)
        if columns and places % columns == 0:
            rows = places // columns
            if abs(rows * width - columns * height) < max(height, width):
                return rows, columns
    raise ModelError(f"{name}: its {cells} image features are no grid over the photo")
