"""Copies to a GPU that nothing waits for."""

from __future__ import annotations

import torch
from torch import Tensor


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Return a tensor of the CPU on `device`, without waiting for the copy.

    An ordinary copy waits until the GPU has done all that was asked of it before. Then the GPU
    has nothing to do while the CPU prepares what comes next.
    """
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)
