"""Where torch computes, and in which type, when captioning."""

from __future__ import annotations

import torch

from capgen.errors import UsageError

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
