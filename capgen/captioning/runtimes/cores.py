"""How many cores there are to compute on, and how batches share them."""

from __future__ import annotations

import math
import os

from capgen.captioning.batch_size import DEFAULT_BATCH_SIZE
from capgen.control_groups import cores_allowed

# More lanes take memory and gain little.
_MOST_LANES = 8


def usable_cores() -> int:
    """Return the cores this process may use: in a container maybe not all of the machine's."""
    if hasattr(os, "sched_getaffinity"):
        there = len(os.sched_getaffinity(0))
    else:
        there = os.cpu_count() or 1
    return min(there, cores_allowed() or there)


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
