"""Images on their way to the model: loaded, upright, as pixels, in batches."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from capgen.errors import ImageError
from capgen.images.decoders import out_of_memory, printable
from capgen.images.load import ImageSource
from capgen.records import CaptionFailure

_Item = TypeVar("_Item")
_Made = TypeVar("_Made")


@dataclass(slots=True, eq=False)
class Prepared:
    """An image ready for the model.

    Attributes:
        path: Where it came from, or None.
        width: Width of the original in pixels, as displayed.
        height: Height of the original in pixels, as displayed.
        pixels: (3, H, W) float32, the model's input.
        sha256: SHA-256 of its file, or None.
        thumbnail: A small WebP of it, where that was asked for.
        image: The decoded image, upright, where it was to be kept.
    """

    path: str | None
    width: int
    height: int
    pixels: NDArray[np.float32]
    sha256: str | None = None
    thumbnail: bytes | None = None
    image: Image.Image | None = None


def path_of(image: ImageSource) -> str | None:
    """Return the path that an image was given by, or None."""
    return os.fspath(image) if isinstance(image, str | os.PathLike) else None


def failure_of(error: ImageError | MemoryError, path: str | None) -> CaptionFailure:
    """Return the record of an image that could not be read or prepared."""
    if isinstance(error, MemoryError):
        error = out_of_memory("image in memory" if path is None else printable(path) or "''")
    return CaptionFailure(path=path, code=error.code, message=error.message, hint=error.hint)


def stacked(batch: Sequence[Prepared]) -> NDArray[np.float32]:
    """Return the pixels (B, 3, H, W) of images of one shape."""
    return np.stack([item.pixels for item in batch])


def for_prepared(
    function: Callable[[Sequence[Prepared]], Iterable[_Made]],
    batch: Sequence[Prepared | CaptionFailure],
) -> Iterator[_Made | CaptionFailure]:
    """Yield what a function makes of the prepared images of a batch, failures in their places."""
    prepared = [item for item in batch if isinstance(item, Prepared)]
    made = iter(function(prepared) if prepared else ())
    for item in batch:
        yield item if isinstance(item, CaptionFailure) else next(made)


def batches_ahead(
    function: Callable[[_Item], _Made], items: Iterable[_Item], size: int
) -> Iterator[list[_Made]]:
    """Yield batches of `function(item)`; a thread makes the next one meanwhile."""
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
