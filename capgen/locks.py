"""Locks on files, for one process at a time. They end with the process, however it ends."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from capgen.paths import storage_errors

_SECONDS_BETWEEN_TRIES = 0.1
# Errors of drives without locks, such as some network drives.
_WITHOUT_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)


class Lock:
    """A lock that one process holds at a time; on a drive without locks, every process does.

    Args:
        path: The file. It is created if missing; its content does not change.
        purpose: What the holder does, as in `downloading flickr8k`, to tell those who wait.
    """

    def __init__(self, path: Path, purpose: str = "") -> None:
        self._path = path
        self._purpose = purpose
        self.release: Callable[[], object] = lambda: None

    def take(self) -> bool:
        """Take the lock unless another process holds it; return whether it is ours now.

        Raises:
            StorageError: The file cannot be written.
        """
        with storage_errors(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            try:
                self.release = _lock(self._path)
            except (BlockingIOError, TimeoutError):
                return False
        return True

    def wait(self) -> Iterator[str]:
        """Take the lock; if another process holds it, yield one message and wait.

        Raises:
            StorageError: The file cannot be written.
        """
        if self.take():
            return
        yield f"Another process is {self._purpose}; waiting for it"
        while not self.take():
            time.sleep(_SECONDS_BETWEEN_TRIES)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Release the lock at the end of the block, even after an error."""
        try:
            yield
        finally:
            self.release()


def _lock(path: Path) -> Callable[[], object]:
    try:
        import fcntl
    except ImportError:
        # On Windows nobody can read a locked file, so the lock is a file beside it.
        from filelock import FileLock

        beside = path if path.name.endswith(".lock") else path.with_name(path.name + ".lock")
        lock = FileLock(beside)
        lock.acquire(timeout=0)  # filelock's Timeout is a TimeoutError
        return lock.release
    file = path.open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in _WITHOUT_LOCKS:
            file.close()
            raise
    return file.close  # releases the lock
