"""Images on their way to the model: what may be given, and what it becomes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

ImageInput = str | os.PathLike[str] | bytes | Image.Image | NDArray[Any]
_Item = TypeVar("_Item")
_Made = TypeVar("_Made")


@dataclass(slots=True, eq=False)
class Prepared:
    """An image ready for the model.

    Attributes:
        path: Where it came from, or None.
        width: Of the image as it was, in pixels.
        height: Likewise.
        pixels: (3, H, W) float32, the model's input.
        sha256: Of its file, or None.
    """

    path: str | None
    width: int
    height: int
    pixels: NDArray[np.float32]
    sha256: str | None = None


def path_of(image: ImageInput) -> str | None:
    """Return the path that an image was given by, or None."""
    return os.fspath(image) if isinstance(image, str | os.PathLike) else None


def batches_ahead(
    function: Callable[[_Item], _Made], items: Iterable[_Item], size: int
) -> Iterator[list[_Made]]:
    """Yield batches of `function(item)`, the next one made in a thread meanwhile."""
    remaining = iter(items)
    first = list(islice(remaining, size))
    second = list(islice(remaining, size))
    if not second:
        if first:
            yield [function(item) for item in first]
        return
    from concurrent.futures import ThreadPoolExecutor

    def make(batch: list[_Item]) -> list[_Made]:
        return [function(item) for item in batch]

    with ThreadPoolExecutor(max_workers=1) as pool:
        pending = [pool.submit(make, first), pool.submit(make, second)]
        while pending:
            done = pending.pop(0).result()
            following = list(islice(remaining, size))
            if following:
                pending.append(pool.submit(make, following))
            yield done
