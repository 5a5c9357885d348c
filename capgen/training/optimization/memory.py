"""Where to compute, and in which type."""

from __future__ import annotations

import os
import platform
import sys
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from capgen.errors import TrainingError

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def pick_device(name: str) -> torch.device:
    """Return the device of that name; `auto` is the best there is.

    Raises:
        TrainingError: It is not there.
    """
    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        name = next(kind for kind, available in there.items() if available)
    if not there[name]:
        why = "" if name != "cuda" or torch.version.cuda else "; this torch is built without it"
        raise TrainingError(
            f"--device {name}: torch {torch.__version__} finds none{why}",
            hint="Use --device auto, or install a torch build for your accelerator.",
        )
    return torch.device(name)


def pick_dtype(precision: str, device: torch.device) -> torch.dtype:
    """Return the type that autocast computes in; float32 stands for none.

    Raises:
        TrainingError: The device has no such arithmetic.
    """
    if precision == "auto":
        fast = device.type == "cuda" and torch.cuda.is_bf16_supported()
        return torch.bfloat16 if fast else torch.float32
    if precision == "fp16" and device.type == "cpu":
        raise TrainingError("--precision fp16 is for GPUs", hint="Use bf16 or fp32 on a CPU.")
    return DTYPES[precision]


def autocast(device: torch.device, dtype: torch.dtype) -> AbstractContextManager[Any]:
    """Return the context to compute in."""
    if dtype == torch.float32:
        return nullcontext()
    return torch.autocast(device.type, dtype=dtype)


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


def hardware(device: torch.device) -> str:
    """Return the device's name for records."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores"
