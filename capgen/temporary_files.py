"""Temporary files beside the files that they become, and the removal of those left behind.

A process holds each of its temporary files locked, so that another can tell one that is being
written from one that a killed process left.
"""

from __future__ import annotations

import os
import re
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_NAME = re.compile(r"\..*\.[0-9a-f]{12}\.capgen\.tmp", re.DOTALL)
# Of the name of the file itself: all of it might be too long with what is added.
_LETTERS_OF_NAME = 40


@contextmanager
def temporary_file(path: Path, mode: int = 0o666) -> Iterator[Path]:
    """Give an empty temporary file beside `path`; rename it to `path` if the block succeeds.

    If the block raises, the temporary file is removed.

    Args:
        path: The file that it is to become.
        mode: Mode bits, of which the process's mask takes some away.

    Raises:
        OSError: It cannot be made, or not renamed.
    """
    while True:
        temporary = path.with_name(
            f".{path.name[:_LETTERS_OF_NAME]}.{secrets.token_hex(6)}.capgen.tmp"
        )
        number = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)
        # Another process may have taken it for a leftover before it was locked.
        if _lock(number, wait=True) and _leads_to(temporary, number):
            break
        os.close(number)
    try:
        yield temporary
        if sys.platform == "win32":  # where open files cannot be renamed
            os.close(number)
            number = -1
        temporary.replace(path)
    finally:
        if number >= 0:
            os.close(number)
        temporary.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> int:
    """Remove the temporary files in a folder that killed processes left.

    Only files that `temporary_file` made are removed, and only where no process has them: on a
    drive without locks, where that cannot be told, all stay.

    Args:
        folder: Its subfolders are not looked into. It need not exist.

    Returns:
        How many were removed.
    """
    removed = 0
    try:
        with os.scandir(folder) as entries:
            names = [
                entry.name
                for entry in entries
                if _NAME.fullmatch(entry.name) and entry.is_file(follow_symlinks=False)
            ]
    except (OSError, ValueError):
        return 0
    for name in names:
        removed += _remove(folder / name)
    return removed


def _remove(path: Path) -> bool:
    """Remove a temporary file that no process has; return whether it is gone."""
    flags = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0)
    try:
        number = os.open(path, flags)
    except OSError:  # it is gone, or somebody else's
        return False
    try:
        if not _lock(number, wait=False) or not _leads_to(path, number):
            return False
        if sys.platform == "win32":  # where open files cannot be removed, and that is the lock
            os.close(number)
            number = -1
        path.unlink()
        return True
    except OSError:
        return False
    finally:
        if number >= 0:
            os.close(number)


def _leads_to(path: Path, number: int) -> bool:
    """Whether a path still is the file that is open under a number."""
    try:
        return os.path.samestat(path.lstat(), os.fstat(number))
    except OSError:
        return False


if sys.platform == "win32":

    def _lock(number: int, *, wait: bool) -> bool:
        """Windows removes no file that a process has open: nothing else need be locked."""
        return True

else:
    import fcntl

    def _lock(number: int, *, wait: bool) -> bool:
        """Lock an open file until it is closed.

        On a drive without locks a new file is as good as locked, and no other ever is.

        Returns:
            Whether the lock is ours.
        """
        try:
            fcntl.flock(number, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            return False
        except OSError:
            return wait
        return True
