"""How much main memory programs may still take, within the limits of a container."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

from capgen.control_groups import Group, own_groups

_MEMINFO = Path("/proc/meminfo")
# A group's files with its limit and with what it uses, and the file cache among that.
_NAMES = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
_UNIFIED_NAMES = ("memory.max", "memory.current", "inactive_file")


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
    limits = [found, *map(_within, own_groups("memory"))]
    return min((value for value in limits if value is not None), default=None)


def _meminfo() -> int | None:
    with suppress(OSError, ValueError, IndexError):
        for line in _MEMINFO.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return None


def _within(group: Group) -> int | None:
    """Return what a group may still take; None without a limit (`max`, or a huge number)."""
    folder = group.folder
    limit, used, cache = _UNIFIED_NAMES if group.unified else _NAMES
    with suppress(OSError, ValueError):
        left = int((folder / limit).read_text()) - int((folder / used).read_text())
        return max(0, left + _reclaimable(folder, cache))
    return None


def _reclaimable(folder: Path, cache: str) -> int:
    """Return the bytes of a group's file cache that the system drops before memory runs out."""
    with suppress(OSError, ValueError):
        for line in (folder / "memory.stat").read_text(encoding="ascii").splitlines():
            name, _, value = line.partition(" ")
            if name == cache:
                return int(value)
    return 0


def _windows_memory() -> int | None:
    import ctypes

    class Status(ctypes.Structure):
        """`MEMORYSTATUSEX` of the Windows API."""

        _fields_ = (
            ("length", ctypes.c_uint32),
            ("load", ctypes.c_uint32),
            *((name, ctypes.c_uint64) for name in ("total", "available", "a", "b", "c", "d", "e")),
        )

    libraries = getattr(ctypes, "windll", None)  # there on Windows only
    status = Status(length=ctypes.sizeof(Status))
    if libraries is None or not libraries.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)):
        return None
    return status.available
