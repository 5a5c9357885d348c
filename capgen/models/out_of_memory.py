"""Running out of the memory of a device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from capgen.errors import DeviceMemoryError

# How MPS, the CPU allocator and the libraries of CUDA put it.
_NO_MEMORY = (
    *("out of memory", "can't allocate memory", "not enough memory"),
    *("CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED", "CUSOLVER_STATUS_ALLOC_FAILED"),
    "CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",  # since cuDNN 9
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that the device has no memory left."""
    if isinstance(error, torch.OutOfMemoryError):
        return True
    text = str(error)
    return isinstance(error, RuntimeError) and any(words in text for words in _NO_MEMORY)


def release_memory(device: torch.device) -> None:
    """Release cached memory, so that smaller pieces can be allocated."""
    if device.type == "cuda":
        torch.cuda.empty_cache()


@contextmanager
def device_memory_errors(message: str, *, hint: str = "") -> Iterator[None]:
    """Turn running out of the device's memory into DeviceMemoryError with this message."""
    try:
        yield
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        raise DeviceMemoryError(message, hint=hint) from error
