"""Devices by name, on machines that have them and on others."""

from __future__ import annotations

import pytest
import torch

from capgen.errors import UsageError
from capgen.models.torch_devices import choose_device, choose_dtype


@pytest.fixture(autouse=True)
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


@pytest.mark.parametrize(
    ("asked", "device"),
    [
        ("auto", "cuda"),
        ("cpu", "cpu"),
        ("cuda", "cuda"),
        ("cuda:0", "cuda:0"),
        ("cuda:1", "cuda:1"),
    ],
)
def test_what_is_there(asked: str, device: str) -> None:
    assert choose_device(asked) == device


@pytest.mark.parametrize("asked", ["cuda:2", "cuda:", "cuda:x", "cuda:²", "mps", "cpu:0", "tpu"])
def test_what_is_not_there(asked: str) -> None:
    with pytest.raises(UsageError, match=f"--device.*{asked}"):
        choose_device(asked)


def test_half_precision_is_for_accelerators() -> None:
    assert choose_dtype("auto", "cpu") == torch.float32
    assert choose_dtype("auto", "cuda:1") == torch.float16
    assert choose_dtype("bf16", "cpu") == torch.bfloat16
