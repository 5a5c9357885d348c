"""Running out of a device's memory is told from other errors."""

from __future__ import annotations

import pytest
import torch

from capgen.errors import DeviceMemoryError
from capgen.models.foreign_errors import model_errors
from capgen.models.out_of_memory import device_memory_errors, is_out_of_memory


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError(),
        RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"),
    ],
)
def test_out_of_memory(error: Exception) -> None:
    assert is_out_of_memory(error)
    # No fault of the model's files.
    with (
        pytest.raises(DeviceMemoryError, match="no room") as caught,
        device_memory_errors("no room", hint="make some"),
        model_errors("a model", "it cannot caption"),
    ):
        raise error
    assert caught.value.hint == "make some"


@pytest.mark.parametrize(
    "error", [RuntimeError("shapes do not match"), ValueError("out of memory"), KeyError("x")]
)
def test_other_errors(error: Exception) -> None:
    assert not is_out_of_memory(error)
    with pytest.raises(type(error)) as caught, device_memory_errors("no room"):
        raise error
    assert caught.value is error
