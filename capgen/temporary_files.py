"""Temporary files, and removing those that killed processes left.

Each temporary file is locked while it is written, so other processes do not take it for a leftover.
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
# A temporary name has only part of the file's name, which may be as long as names can be.
_LETTERS_OF_NAME = 40
# Windows neither renames nor removes open files.
OPEN_FILES_STAY = sys.platform == "win32"


@contextmanager
def temporary_file(path: Path, mode: int = 0o666) -> Iterator[Path]:
    """Give an empty temporary file beside `path`; rename it to `path` if the block succeeds.

    If the block raises, the temporary file is removed.

    Args:
        path: The final file.
        mode: Permissions, restricted by the process's umask.

    Raises:
        OSError: It cannot be created or renamed.
    """
    while True:
        temporary = path.with_name(
            f".{path.name[:_LETTERS_OF_NAME]}.{secrets.token_hex(6)}.capgen.tmp"
        )
        number = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)
        # Before it was locked, another process may have removed it as a leftover.
        if _lock(number, wait=True) and _leads_to(temporary, number):
            break
        os.close(number)
    try:
        yield temporary
        if OPEN_FILES_STAY:
            os.close(number)
            number = -1
        temporary.replace(path)
    finally:
        if number >= 0:
            os.close(number)
        temporary.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> int:
    """Remove the temporary files in a folder that killed processes left.

    Only files of `temporary_file` are removed, and only if no process has them open. On drives
    without locks, where that is unknown, none is removed. Subfolders are left alone.

    Returns:
        The number of removed files.
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
    """Remove a temporary file if no process has it open; return whether it was removed."""
    flags = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0)
    try:
        number = os.open(path, flags)
    except OSError:  # already gone, or another user's
        return False
    try:
        if not _lock(number, wait=False) or not _leads_to(path, number):
            return False
        if OPEN_FILES_STAY:
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
    """Whether a path is the open file with this descriptor."""
    try:
        return os.path.samestat(path.lstat(), os.fstat(number))
    except OSError:
        return False


if sys.platform == "win32":

    def _lock(number: int, *, wait: bool) -> bool:
        """Return True: Windows does not remove open files, so no lock is needed."""
        return True

else:
    import fcntl

    def _lock(number: int, *, wait: bool) -> bool:
        """Lock a file until its descriptor is closed; return whether that was possible.

        On drives without locks, new files (`wait`) count as locked and old ones as not.
        """
        try:
            fcntl.flock(number, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            return False
        except OSError:
            return wait
        return True
