"""Where to compute, and in which type."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch

from capgen.config import flag_name
from capgen.errors import TrainingError


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
    """Return the type that autocast computes in: bfloat16, or float32 for none."""
    if precision == "auto":
        fast = device.type == "cuda" and torch.cuda.is_bf16_supported()
        return torch.bfloat16 if fast else torch.float32
    return {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]


def autocast(device: torch.device, dtype: torch.dtype) -> AbstractContextManager[Any]:
    """Return the context to compute in."""
    if dtype == torch.float32:
        return nullcontext()
    return torch.autocast(device.type, dtype=dtype)


@contextmanager
def memory_errors(setting: str, batch_size: int) -> Iterator[None]:
    """Turn a device's out-of-memory error into one that names the setting to lower.

    Raises:
        TrainingError: Memory ran out.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise TrainingError(
            f"The device ran out of memory with batches of {batch_size} photos",
            hint=f"Try {flag_name(setting)} {max(1, batch_size // 2)}.",
        ) from error


def hardware(device: torch.device) -> str:
    """Return the device's name for records."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores"
