"""One process at a time: a lock that a second process waits for.

The lock belongs to the open file, so it is gone when its process is, however it ended.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from capgen.data.events import Notice
from capgen.paths import storage_errors


class Lock:
    """A lock file.

    Args:
        path: The lock file; its folder is made.
        purpose: What the holder does, for the notice to those who wait.
    """

    def __init__(self, path: Path, purpose: str) -> None:
        self._path = path
        self._purpose = purpose
        self._lock = FileLock(path)

    def wait(self) -> Iterator[Notice]:
        """Take the lock; yield one notice if another process has it, then wait.

        Raises:
            StorageError: The lock file cannot be written.
        """
        with storage_errors(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._lock.acquire(timeout=0)
                return
            except Timeout:
                yield Notice(message=f"Another process is {self._purpose}; waiting for it")
            self._lock.acquire(poll_interval=0.1)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Give the lock back at the end of the block, whatever happens in it."""
        try:
            yield
        finally:
            self._lock.release()
