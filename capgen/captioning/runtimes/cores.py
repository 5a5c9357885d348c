"""How many cores there are to compute on, and how batches share them."""

from __future__ import annotations

import math
import os

from capgen.captioning.batch_size import DEFAULT_BATCH_SIZE

# More lanes take memory and gain little.
_MOST_LANES = 8


def usable_cores() -> int:
    """Return the cores this process may use: on a shared machine maybe not all of them."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def lanes_and_threads(
    total: int | None, batch_size: int | None, cores: int | None = None
) -> tuple[int, int]:
    """Return how many batches to run at once on the CPU, and the threads of each.

    Batches side by side keep cores busier than one batch spread over them, unless there are
    only a few images. `cores` are those to use; None is all that this process may use.
    """
    cores = cores or usable_cores()
    batches = (
        _MOST_LANES if total is None else math.ceil(total / (batch_size or DEFAULT_BATCH_SIZE))
    )
    lanes = max(1, min(cores, batches, _MOST_LANES))
    return lanes, max(1, cores // lanes)
