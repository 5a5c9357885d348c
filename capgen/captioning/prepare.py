"""Images ready for the model, and batches of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from capgen.captioning.runtimes.base import ModelInput
from capgen.errors import ImageError
from capgen.images.decoders import out_of_memory, printable
from capgen.records import CaptionFailure

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


@dataclass(slots=True, eq=False)
class Prepared:
    """An image ready for the model.

    Attributes:
        path: Its name in records, or None.
        width: Width of the original in pixels, as displayed.
        height: Height of the original in pixels, as displayed.
        input: The model's input.
        sha256: SHA-256 of its file, or None.
        thumbnail: A small WebP copy, if it was asked for.
        image: The decoded image, upright, if it was asked for.
        prompt: What the model is asked about it, or None if nothing was asked for.
    """

    path: str | None
    width: int
    height: int
    input: ModelInput
    sha256: str | None = None
    thumbnail: bytes | None = None
    image: Image.Image | None = None
    prompt: str | None = None

    @property
    def pixels(self) -> NDArray[np.float32]:
        """The (3, H, W) float32 pixels of an encoder's input."""
        return self.input.pixels

    def record_fields(self) -> dict[str, Any]:
        """Return the fields of the image's record."""
        names = ("path", "width", "height", "sha256", "prompt")
        return {name: getattr(self, name) for name in names}


def failure_of(error: ImageError | MemoryError, path: str | None) -> CaptionFailure:
    """Return the record of an image that could not be read or prepared."""
    if isinstance(error, MemoryError):
        error = out_of_memory("image in memory" if path is None else printable(path) or "''")
    return CaptionFailure(path=path, code=error.code, message=error.message, hint=error.hint)


def for_prepared(
    function: Callable[[Sequence[Prepared]], Iterable[_Result]],
    batch: Sequence[Prepared | CaptionFailure],
) -> Iterator[_Result | CaptionFailure]:
    """Yield `function`'s results for the prepared images of a batch, and its failures, in order."""
    prepared = [item for item in batch if isinstance(item, Prepared)]
    results = iter(function(prepared) if prepared else ())
    for item in batch:
        yield item if isinstance(item, CaptionFailure) else next(results)


def batches_ahead(
    function: Callable[[_Item], _Result], items: Iterable[_Item], size: int
) -> Iterator[list[_Result]]:
    """Yield batches of `function(item)`; a thread computes the next one meanwhile."""
    remaining = iter(items)
    batches = iter(lambda: list(islice(remaining, size)), [])
    first = list(islice(batches, 2))

    def compute(batch: list[_Item]) -> list[_Result]:
        return [function(item) for item in batch]

    if len(first) < 2:
        yield from map(compute, first)
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(max_workers=1) as pool:
        pending = [pool.submit(compute, batch) for batch in first]
        while pending:
            done = pending.pop(0).result()
            pending += [pool.submit(compute, batch) for batch in islice(batches, 1)]
            yield done
