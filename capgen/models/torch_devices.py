"""The device that torch computes on, and the type.

Captioning holds its weights in the type; training only computes in it.
"""

from __future__ import annotations

import logging
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

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


@contextmanager
def autocast(device: torch.device, dtype: torch.dtype) -> Iterator[None]:
    """Compute the block in a type, float32 without autocast, as training does."""
    with (
        attention_of_any_shape(),
        torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32),
    ):
        yield


@contextmanager
def attention_of_any_shape() -> Iterator[None]:
    """Compute the block's attention with kernels that take as long for new shapes as for old ones.

    cuDNN, which torch prefers for bf16 and fp16 on newer GPUs, makes a plan for each new shape. On
    an H200 that took 0.7 ms a call for captions that grow by a token, half of the time of a step.
    """
    with sdpa_kernel([SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]):
        yield


def hardware(device: torch.device) -> str:
    """Return the device's name for records."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores"
