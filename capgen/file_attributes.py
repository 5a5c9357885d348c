"""Owner, group, permissions, extended attributes and times of files."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from capgen.errors import StorageError


def copy_attributes(source: Path, target: Path, *, times: bool = False) -> None:
    """Give a file the owner, group, permissions and extended attributes of another.

    Args:
        source: The file to copy from. Access control lists are among its attributes.
        target: The file to copy to.
        times: Copy the times of the last access and change, too.

    Raises:
        StorageError: Owner, group or the user's own attributes cannot be kept.
        OSError: Anything else failed.
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
            hint="Run capgen as the user who owns the file.",
        ) from error


def _copy_extended(source: Path, target: Path) -> None:
    """Copy extended attributes (on Linux); those of the system only as far as allowed."""
    if not hasattr(os, "listxattr"):
        return
    try:
        names = os.listxattr(source)
    except OSError:  # a drive without extended attributes
        return
    for name in names:
        try:
            os.setxattr(target, name, os.getxattr(source, name))
        except OSError as error:
            if name.startswith("user."):
                raise StorageError(
                    f"Cannot write {source}: it would not keep its attribute {name}"
                ) from error
