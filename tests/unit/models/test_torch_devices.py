"""Devices by name, on machines that have them and on others."""

from __future__ import annotations

import pytest
import torch

from capgen.config import ModelOptions, TrainConfig
from capgen.errors import UsageError
from capgen.models.torch_devices import (
    attention_of_any_shape,
    autocast,
    autocast_dtype,
    choose_device,
    weights_dtype,
)


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
    assert choose_device(asked) == torch.device(device)


@pytest.mark.parametrize("asked", ["cuda:2", "cuda:", "cuda:x", "cuda:²", "mps", "cpu:0", "tpu"])
def test_what_is_not_there(asked: str) -> None:
    with pytest.raises(UsageError, match=f"--device.*{asked}"):
        choose_device(asked)


@pytest.mark.parametrize("asked", ["auto", "cpu", "cuda", "cuda:0", "cuda:1", "cuda:9", "mps"])
def test_captioning_and_training_take_the_same_names(asked: str) -> None:
    assert ModelOptions(device=asked).device == TrainConfig(device=asked).device == asked


@pytest.mark.parametrize("asked", ["cuda:", "cuda:x", "cuda:-1", "cpu:0", "mps:0", "tpu", "", 1])
def test_what_is_not_a_device(asked: object) -> None:
    for settings in (ModelOptions, TrainConfig):
        with pytest.raises(UsageError, match="auto, cpu, cuda, cuda:N or mps"):
            settings(device=asked)


def test_half_precision_is_for_accelerators() -> None:
    assert weights_dtype("auto", torch.device("cpu")) == torch.float32
    assert weights_dtype("auto", torch.device("cuda:1")) == torch.float16
    assert weights_dtype("bf16", torch.device("cpu")) == torch.bfloat16


@pytest.mark.parametrize(("real", "used"), [(True, torch.bfloat16), (False, torch.float32)])
def test_training_does_not_compute_in_an_emulated_type(
    monkeypatch: pytest.MonkeyPatch, real: bool, used: torch.dtype
) -> None:
    """torch calls bf16 supported on GPUs before Ampere, too, where it is only emulated."""
    monkeypatch.setattr(
        torch.cuda,
        "is_bf16_supported",
        lambda including_emulation=True: including_emulation or real,
    )
    assert autocast_dtype("auto", torch.device("cuda")) == used


def test_training_and_captioning_compute_attention_without_plans_for_each_shape() -> None:
    before = torch.backends.cuda.cudnn_sdp_enabled()
    for block in (attention_of_any_shape(), autocast(torch.device("cpu"), torch.bfloat16)):
        with block:
            assert not torch.backends.cuda.cudnn_sdp_enabled()
            assert torch.backends.cuda.flash_sdp_enabled()
        assert torch.backends.cuda.cudnn_sdp_enabled() == before


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_training_computes_in_the_type_asked_for(dtype: torch.dtype) -> None:
    with autocast(torch.device("cpu"), dtype):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype
