"""Heat maps: how much of a word's attention each part of an image got, drawn and in words.

An outline surrounds the fewest cells that hold half of the attention.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from capgen.captioning.attention import CaptionAttention, Floats
from capgen.pages.images import InlineImage, data_uri

Cells = NDArray[np.bool_]
# From (x, y) to (x, y), in cells from the top left corner.
Edge = tuple[int, int, int, int]

SHARE = 0.5
# Longest side in pixels of the image that the maps of a caption share (about 4 kB).
_SMALL = 128
# Colour of the heat maps, and its opacity where attention is highest.
_HEAT = (255, 120, 0)
_OPACITY = 0.8


class WordMap(NamedTuple):
    """A word with its heat map, and a description of the map."""

    text: str
    uri: str
    alt: str


class HeatMaps(NamedTuple):
    """The heat maps of a caption's words, and the image that they share."""

    image: InlineImage
    words: tuple[WordMap, ...]


def heat_maps(attention: CaptionAttention) -> HeatMaps:
    """Return the heat maps of a caption's words."""
    words = tuple(
        WordMap(word, data_uri(heat_image(heat), "PNG"), where(word, heat))
        for word, heat in zip(attention.words, attention.maps, strict=True)
    )
    return HeatMaps(InlineImage.of(attention.image, side=_SMALL), words)


def heat_image(heat: Floats) -> Image.Image:
    """Return a small image (rows × columns) that is more opaque where attention is higher."""
    rows, columns = heat.shape
    pixels = np.empty((rows, columns, 4), np.uint8)
    pixels[..., :3] = _HEAT
    pixels[..., 3] = np.round(255 * _OPACITY * heat / max(float(heat.max()), 1e-9))
    return Image.fromarray(pixels)


def where(word: str, heat: Floats) -> str:
    """Describe where most of the attention is."""
    return f"For '{word}' the model looked most at the {place_of_most(heat)}"


def place_of_most(heat: Floats) -> str:
    """Return the ninth of the image that holds the cell with the most attention."""
    rows, columns = heat.shape
    row, column = np.unravel_index(int(heat.argmax()), heat.shape)
    across = ("left", "centre", "right")[min(2, int(3 * (column + 0.5) / columns))]
    down = ("top", "middle", "bottom")[min(2, int(3 * (row + 0.5) / rows))]
    return f"{down} {across}"


def core(heat: Floats, share: float = SHARE) -> Cells:
    """Return the smallest set of cells (rows, columns) that holds a share of the attention."""
    order = np.argsort(-heat, axis=None, kind="stable")
    held = np.cumsum(heat.ravel()[order])
    count = int(np.searchsorted(held, share * held[-1])) + 1
    inside = np.zeros(heat.size, np.bool_)
    inside[order[:count]] = True
    return inside.reshape(heat.shape)


def outline(inside: Cells) -> list[Edge]:
    """Return the edges between cells inside and outside, one cell long each."""
    padded = np.pad(inside, 1)
    across = [
        (int(column), int(row), int(column) + 1, int(row))
        for row, column in np.argwhere(padded[1:, 1:-1] != padded[:-1, 1:-1])
    ]
    down = [
        (int(column), int(row), int(column), int(row) + 1)
        for row, column in np.argwhere(padded[1:-1, 1:] != padded[1:-1, :-1])
    ]
    return across + down
