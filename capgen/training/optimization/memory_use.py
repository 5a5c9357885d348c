"""The memory that training takes: trimming it, measuring it."""

from __future__ import annotations

import sys

import torch


def trim_memory() -> None:
    """Return freed memory that the C library keeps to the system; only glibc can.

    Rows of many lengths fragment its heap: without this a run on the CPU grows by gigabytes
    per hour.
    """
    if sys.platform != "linux":
        return
    import ctypes

    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def memory_used(device: torch.device) -> int:
    """Return the peak memory in bytes: of tensors on a GPU, of the process on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
