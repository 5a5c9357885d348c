"""Items of a run computed ahead, in order, and put together for the model."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

# A batch is closed early when its inputs take this much memory.
_BATCH_BYTES = 128 << 20


def read_ahead(
    pool: ThreadPoolExecutor,
    function: Callable[[_Item], _Result],
    items: Iterable[_Item],
    ahead: int,
) -> Iterator[_Result]:
    """Yield `function(item)` in order, with at most `ahead` of them running or waiting."""
    remaining = iter(items)
    pending = deque(pool.submit(function, item) for item in islice(remaining, ahead))
    while pending:
        yield pending.popleft().result()
        for item in islice(remaining, 1):
            pending.append(pool.submit(function, item))


def grouped(
    reads: Iterable[_Item], size: int, input_bytes: Callable[[_Item], int | None]
) -> Iterator[list[_Item]]:
    """Yield batches of at most `size` items for the model, and few others.

    `input_bytes` returns the memory that an item takes; None if it is not for the model.
    """
    batch: list[_Item] = []
    prepared, held = 0, 0
    for read in reads:
        batch.append(read)
        taken = input_bytes(read)
        if taken is not None:
            prepared += 1
            held += taken
        if prepared == size or held >= _BATCH_BYTES or len(batch) >= 4 * size:
            yield batch
            batch, prepared, held = [], 0, 0
    if batch:
        yield batch
