"""The memory and disk space of this machine, as far as the system tells them."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_MEMINFO = Path("/proc/meminfo")
# The memory limit of a container and what it uses, in both versions of Linux's control groups.
_LIMITS = (
    (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")),
    (
        Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
        Path("/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ),
)
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


def available_memory() -> int | None:
    """Return the bytes of main memory that programs may still take; None if that is unknown.

    Where the system tells only how much there is, that is returned.
    """
    if sys.platform == "win32":
        return _windows_memory()
    found = _meminfo()
    if found is None:
        with suppress(OSError, ValueError):
            found = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limits = [found, *(_within(limit, used) for limit, used in _LIMITS)]
    return min((value for value in limits if value is not None), default=None)


def _meminfo() -> int | None:
    with suppress(OSError, ValueError, IndexError):
        for line in _MEMINFO.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return None


def _within(limit: Path, used: Path) -> int | None:
    """Return what a container may still take; None without a limit (`max`, or a huge number)."""
    with suppress(OSError, ValueError):
        return max(0, int(limit.read_text()) - int(used.read_text()))
    return None


def _windows_memory() -> int | None:
    import ctypes

    class Status(ctypes.Structure):
        """`MEMORYSTATUSEX` of the Windows API."""

        _fields_ = (
            ("length", ctypes.c_uint32),
            ("load", ctypes.c_uint32),
            *((name, ctypes.c_uint64) for name in ("total", "available", "a", "b", "c", "d", "e")),
        )

    status = Status(length=ctypes.sizeof(Status))
    kernel = getattr(ctypes, "windll").kernel32  # noqa: B009  # there on Windows only
    return status.available if kernel.GlobalMemoryStatusEx(ctypes.byref(status)) else None


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
