"""Where to compute, and in which type."""

from __future__ import annotations

import sys

import torch

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the device has no memory left."""
    if isinstance(error, torch.OutOfMemoryError):
        return True
    text = str(error)
    return isinstance(error, RuntimeError) and any(words in text for words in _NO_MEMORY)


# How MPS and the CPU's allocator put it.
_NO_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")


def release_memory(device: torch.device) -> None:
    """Give cached memory back, so that smaller pieces can be had."""
    if device.type == "cuda":
        torch.cuda.empty_cache()


def trim_memory() -> None:
    """Give the system back what the C library keeps of freed memory.

    Rows of every length leave its heap in pieces: without this a run on the CPU grows by
    gigabytes an hour. Only glibc has the function; elsewhere nothing is done.
    """
    if sys.platform != "linux":
        return
    import ctypes

    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def memory_used(device: torch.device) -> int:
    """Return the most bytes tensors took on a GPU so far; on a CPU those of the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
