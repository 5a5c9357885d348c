"""What a file has besides its content: owner, group, permissions, attributes, times."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from capgen.errors import StorageError


def copy_attributes(source: Path, target: Path, *, times: bool = False) -> None:
    """Give a file the owner, group, permissions and extended attributes of another.

    Args:
        source: The file that has them. Access control lists count as attributes.
        target: The file to give them to.
        times: Copy the times of the last access and change, too.

    Raises:
        StorageError: Owner, group or the user's own attributes cannot be kept.
        OSError: Something else went wrong.
    """
    status = source.stat()
    _copy_owner(source, status, target)
    shutil.copymode(source, target)
    _copy_extended(source, target)
    if times:
        os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))


def _copy_owner(source: Path, status: os.stat_result, target: Path) -> None:
    new = target.stat()
    if (status.st_uid, status.st_gid) == (new.st_uid, new.st_gid):
        return
    try:
        os.chown(target, status.st_uid, status.st_gid)
    except PermissionError as error:
        raise StorageError(
            f"Cannot write {source}: it would not keep its owner and group",
            hint="Run capgen as the user whose file it is.",
        ) from error


def _copy_extended(source: Path, target: Path) -> None:
    """Copy extended attributes where Python can (Linux); those of the system if it lets us."""
    if not hasattr(os, "listxattr"):
        return
    try:
        names = os.listxattr(source)
    except OSError:  # a drive without them
        return
    for name in names:
        try:
            os.setxattr(target, name, os.getxattr(source, name))
        except OSError as error:
            if name.startswith("user."):
                raise StorageError(
                    f"Cannot write {source}: it would not keep its attribute {name}"
                ) from error
