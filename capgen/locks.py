"""One process at a time: a lock on a file, gone when its process is, however that ended."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from capgen.paths import storage_errors

_SECONDS_BETWEEN_TRIES = 0.1
# What drives without locks answer, some network drives among them.
_WITHOUT_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)


class Lock:
    """A lock that one process has at a time; on a drive without locks everybody has it.

    Args:
        path: The file. It is made if it is not there; what it holds is left alone.
        purpose: What the holder does, for those who wait, as in `downloading flickr8k`.
    """

    def __init__(self, path: Path, purpose: str = "") -> None:
        self._path = path
        self._purpose = purpose
        self.release: Callable[[], object] = lambda: None

    def take(self) -> bool:
        """Take the lock unless another process has it; return whether it is ours now.

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
        """Take the lock; yield one message if another process has it, then wait.

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
        """Release the lock at the end of the block, whatever happens in it."""
        try:
            yield
        finally:
            self.release()


def _lock(path: Path) -> Callable[[], object]:
    try:
        import fcntl
    except ImportError:
        # On Windows nobody could read what is locked itself, so a file beside it is.
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
    return file.close  # which gives the lock back
