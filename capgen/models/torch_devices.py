"""The device that torch computes on, and the type.

Captioning holds its weights in the type; training only computes in it.
"""

from __future__ import annotations

import logging
import os
import platform
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from capgen.config.models import check_device
from capgen.errors import TrainingError, UsageError

logger = logging.getLogger(__name__)
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def choose_device(name: str) -> torch.device:
    """Return the device of that name; `auto` prefers CUDA, then MPS, then the CPU.

    Raises:
        UsageError: There is no such device.
    """
    check_device(name)
    count = {
        "cuda": torch.cuda.device_count() if torch.cuda.is_available() else 0,
        "mps": int(torch.backends.mps.is_available()),
        "cpu": 1,
    }
    if name == "auto":
        name = next(kind for kind, number in count.items() if number)
        logger.debug("--device auto is %s; available: %s", name, count)
    kind, _, index = name.partition(":")
    if int(index or 0) >= count[kind]:
        why = "" if kind != "cuda" or torch.version.cuda else ", and was built without CUDA"
        raise UsageError(
            f"--device {name}: torch {torch.__version__} finds no such device{why}",
            hint="Use --device auto, or install a torch build for your accelerator.",
        )
    return torch.device(name)


def weights_dtype(name: str, device: torch.device) -> torch.dtype:
    """Return the type of weights and arithmetic when captioning."""
    if name == "auto":
        return torch.float32 if device.type == "cpu" else torch.float16
    if name not in DTYPES:
        raise UsageError(f"--dtype is '{name}'; it must be auto, {', '.join(DTYPES)}")
    return DTYPES[name]


def autocast_dtype(precision: str, device: torch.device) -> torch.dtype:
    """Return the type that training's autocast computes in; float32 means no autocast."""
    if precision == "auto":
        # Older GPUs emulate it, far slower than they compute in float32.
        fast = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
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
