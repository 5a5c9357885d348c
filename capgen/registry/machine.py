"""The memory and disk space of this machine, as far as the system tells them."""

from __future__ import annotations

import platform
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from capgen.available_memory import available_memory

# Where a driver for the GPUs that torch knows shows; importing torch takes seconds.
_DRIVERS = (Path("/proc/driver/nvidia"), Path("/dev/nvidia0"), Path("/dev/kfd"), Path("/dev/dxg"))


@dataclass(frozen=True)
class Accelerator:
    """A GPU that torch can use.

    Attributes:
        device: Its name for `--device`.
        title: Its name, as in `NVIDIA H100`.
        free: Bytes of its memory that are free.
    """

    device: str
    title: str
    free: int


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What there is to run a model on.

    Attributes:
        memory: Bytes of main memory that programs may still take; None if that is unknown.
        accelerators: GPUs, in the order in which `--device auto` takes them.
        disk: Free bytes where models of the Hub are stored; None if that is unknown.
        disk_place: That folder.
    """

    memory: int | None
    accelerators: tuple[Accelerator, ...] = ()
    disk: int | None = None
    disk_place: Path = Path()


def this_machine() -> Machine:
    """Return what this machine has. Asks neither the network nor, without a driver, torch."""
    from huggingface_hub import constants

    place = Path(constants.HF_HUB_CACHE)
    memory = available_memory()
    return Machine(
        memory=memory, accelerators=_accelerators(memory), disk=_free(place), disk_place=place
    )


def _accelerators(memory: int | None) -> tuple[Accelerator, ...]:
    apple = platform.system() == "Darwin" and platform.machine() == "arm64"
    driver = shutil.which("nvidia-smi") is not None or any(map(Path.exists, _DRIVERS))
    if not apple and not driver:
        return ()
    try:
        import torch
    except (ImportError, OSError):  # `capgen doctor` tells why
        return ()
    if apple:  # its GPU shares the main memory
        there = torch.backends.mps.is_available()
        return (Accelerator("mps", "Apple GPU", memory or 0),) if there else ()
    found = []
    for number in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        with suppress(RuntimeError):  # a GPU that is busy, or lost
            free, _ = torch.cuda.mem_get_info(number)
            title = torch.cuda.get_device_name(number)
            found.append(Accelerator("cuda" if number == 0 else f"cuda:{number}", title, free))
    return tuple(found)


def _free(place: Path) -> int | None:
    while not place.exists() and place != place.parent:
        place = place.parent
    try:
        return shutil.disk_usage(place).free
    except OSError:
        return None
