"""The part of an image that holds half of a word's attention, and its outline."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Cells = NDArray[np.bool_]
# From (x, y) to (x, y), in cells from the top left corner.
Edge = tuple[int, int, int, int]

SHARE = 0.5


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
