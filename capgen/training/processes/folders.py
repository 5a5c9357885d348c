"""A folder of process 0 as the other machines see it: the same, or a copy of what they need.

Nothing is assumed about disks: a file with a random name that another process writes is looked
for.
"""

from __future__ import annotations

import secrets
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import torch

from capgen.paths import storage_errors
from capgen.training.processes.base import Processes

# Bytes that are sent at once.
_CHUNK = 1 << 26


def sees_first(processes: Processes, folder: Path) -> bool:
    """Return whether `folder`, which each machine names itself, is that of process 0."""
    return first_that_shares(processes, folder, ask=lambda rank: rank == 0) == 0


def first_that_shares(
    processes: Processes, folder: Path, ask: Callable[[int], bool] | None = None
) -> int:
    """Return the first process whose `folder` this one sees; its own rank if there is none.

    Args:
        processes: The processes.
        folder: A folder, as this process names it.
        ask: Whether to look for the folder of the process of a rank; by default for that of the
            first process on each machine.
    """
    if processes.count == 1:
        return 0
    asked = processes.rank == processes.machine if ask is None else ask(processes.rank)
    name = f".{secrets.token_hex(8)}.probe" if asked else ""
    if name:
        with storage_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).touch()
    names = processes.gather(name)
    seen = (rank for rank, other in enumerate(names) if other and (folder / other).is_file())
    first = next(seen, processes.rank)
    processes.wait()
    if name:
        (folder / name).unlink(missing_ok=True)
    return first


class SharedFolder:
    """The run's folder in a run of several processes.

    Args:
        processes: The processes.
        path: The folder, as process 0 names it.

    Attributes:
        path: The folder, as process 0 names it.
        here: Where this process finds it: `path`, or a temporary folder of its machine, which
            holds what was brought.
    """

    def __init__(self, processes: Processes, path: Path) -> None:
        self.path = path
        self.here = path
        self._processes = processes
        self._lacks = not sees_first(processes, path)
        if not any(processes.gather(self._lacks)):
            return
        own = ""
        if self._lacks and processes.rank == processes.machine:
            own = tempfile.mkdtemp(prefix="capgen-run-")
            self._remove = weakref.finalize(self, shutil.rmtree, own, ignore_errors=True)
        made = processes.gather(own)[processes.machine]
        if self._lacks:
            self.here = Path(made)

    def bring(self, part: str) -> None:
        """Copy a file or folder below `path` to the machines that do not see it."""
        processes = self._processes
        lacking = processes.gather(self._lacks)
        if not any(lacking):
            return
        names = processes.first(lambda: _files(self.path, part))
        writes = self._lacks and processes.rank == processes.machine
        for name in names:
            target = self.here / name
            if writes:
                with storage_errors(target):
                    target.parent.mkdir(parents=True, exist_ok=True)
                    with target.open("wb") as file:
                        self._send(name, file)
            else:
                self._send(name, None)
        processes.wait()

    def _send(self, name: str, file: IO[bytes] | None) -> None:
        """Send a file of process 0 to all; write it into `file`."""
        chunks: Iterator[bytes] = iter(())
        size = 0
        if self._processes.rank == 0:
            size = (self.path / name).stat().st_size
            chunks = _chunks(self.path / name)
        size = self._processes.gather(size)[0]
        for start in range(0, size, _CHUNK):
            part = torch.zeros(min(_CHUNK, size - start), dtype=torch.uint8)
            if self._processes.rank == 0:
                part = torch.frombuffer(bytearray(next(chunks)), dtype=torch.uint8)
            self._processes.send([part])
            if file is not None:
                file.write(part.numpy().tobytes())


def _files(root: Path, part: str) -> list[str]:
    """Return the files below `root / part`, or that file, relative to `root`."""
    place = root / part
    found = [place] if place.is_file() else sorted(p for p in place.rglob("*") if p.is_file())
    return [path.relative_to(root).as_posix() for path in found]


def _chunks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            yield chunk
