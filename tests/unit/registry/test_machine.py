"""What the system tells of its GPUs and disks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from capgen.registry import machine
from capgen.registry.machine import this_machine

GB = 10**9


def test_this_machine_tells_something(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "not" / "yet" / "there"))
    found = this_machine()
    assert found.memory is not None and 10**6 < found.memory < 10**15
    assert found.disk is not None and found.disk > 0
    assert found.disk_place == tmp_path / "not" / "yet" / "there"
    assert not (tmp_path / "not").exists()


def test_without_a_driver_torch_is_not_imported() -> None:
    """It would take seconds."""
    code = (
        "import sys; from pathlib import Path; from capgen.registry import machine; "
        "machine._DRIVERS = (); machine.shutil.which = lambda name: None; "
        "machine.platform.system = lambda: 'Linux'; "
        "assert machine.this_machine().accelerators == (); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


class Cuda:
    """torch.cuda of a machine with two GPUs, of which the first one is lost."""

    def __init__(self) -> None:
        self.is_available = lambda: True
        self.device_count = lambda: 2

    def mem_get_info(self, number: int) -> tuple[int, int]:
        if number == 0:
            raise RuntimeError("CUDA error: the device is lost")
        return 20 * GB, 80 * GB

    def get_device_name(self, number: int) -> str:
        return f"Card {number}"


def test_gpus_have_the_names_of_the_device_option(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch, "cuda", Cuda())
    monkeypatch.setattr(machine.shutil, "which", lambda name: "/usr/bin/nvidia-smi")
    monkeypatch.setattr(machine.platform, "system", lambda: "Linux")
    assert machine._accelerators(GB) == (machine.Accelerator("cuda:1", "Card 1", 20 * GB),)
