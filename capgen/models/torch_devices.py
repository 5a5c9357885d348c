"""Where torch computes, and in which type, when captioning."""

from __future__ import annotations

import os
import platform
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from capgen.errors import TrainingError, UsageError

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def choose_device(device: str) -> str:
    """Return the torch device to use; `auto` takes CUDA, then MPS, then the CPU.

    Raises:
        UsageError: The device is not there.
    """
    has_mps = torch.backends.mps.is_available()
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "mps" if has_mps else "cpu"
    kind, colon, index = device.partition(":")
    there = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(has_mps)}.get(kind)
    if there is None or (colon and kind != "cuda"):
        raise UsageError(f"--device is '{device}'; it must be auto, cpu, cuda, cuda:N or mps")
    if there == 0 or (colon and not (index.isdecimal() and int(index) < there)):
        raise UsageError(
            f"--device {device}: torch {torch.__version__} finds no such device here",
            hint="Use --device auto or cpu.",
        )
    return device


def choose_dtype(dtype: str, device: str) -> torch.dtype:
    """Return the torch type of weights and arithmetic.

    Raises:
        UsageError: No type goes by that name.
    """
    if dtype == "auto":
        return torch.float32 if device == "cpu" else torch.float16
    if dtype not in DTYPES:
        raise UsageError(f"--dtype is '{dtype}'; it must be auto, {', '.join(DTYPES)}")
    return DTYPES[dtype]


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


def hardware(device: torch.device) -> str:
    """Return the device's name for records."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores"
