"""The control groups of Linux that limit this process: what a container may take of its machine."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

# Which control groups this process is in, and where they are.
_OWN_GROUPS = Path("/proc/self/cgroup")
_GROUPS = Path("/sys/fs/cgroup")


class Group(NamedTuple):
    """A control group: its folder, and whether it is of version 2."""

    folder: Path
    unified: bool


def own_groups(controller: str) -> Iterator[Group]:
    """Yield the groups that may limit this process, from the innermost one to the root.

    Not every one of them exists: containers often see only their own group, as the root.

    Args:
        controller: `memory` or `cpu`.
    """
    with suppress(OSError, ValueError):
        for line in _OWN_GROUPS.read_text(encoding="utf-8").splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers and controller not in controllers.split(","):
                continue
            root = _GROUPS / controller if controllers else _GROUPS
            own = root / path.strip("/")
            for folder in (own, *own.parents):
                yield Group(folder, not controllers)
                if folder == root:
                    break


def cores_allowed() -> int | None:
    """Return the cores that a limit of processor time (`docker run --cpus`) is worth, rounded up.

    None without a limit.
    """
    return min(filter(None, map(_cores, own_groups("cpu"))), default=None)


def _cores(group: Group) -> int | None:
    with suppress(OSError, ValueError, ArithmeticError):
        if group.unified:
            quota, period = map(int, (group.folder / "cpu.max").read_text().split())
        else:
            quota = int((group.folder / "cpu.cfs_quota_us").read_text())
            period = int((group.folder / "cpu.cfs_period_us").read_text())
        if quota > 0:  # -1: no limit
            return math.ceil(quota / period)
    return None
