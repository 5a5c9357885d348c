"""How many cores there are to compute on."""

from __future__ import annotations

import os


def usable_cores() -> int:
    """Return the cores this process may use: on a shared machine maybe not all of them."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
