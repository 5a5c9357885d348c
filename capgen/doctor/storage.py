"""The folders that capgen writes to, and the size of its caches."""

from __future__ import annotations

import errno
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from capgen import paths
from capgen.cache_folders import usage
from capgen.records import Check

# A trained model takes half a gigabyte, decoded images more.
LEAST_FREE = 1_000_000_000
LEAST_FOR_SETTINGS = 1_000_000
_READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)
_MOVE = f"Set {paths.HOME_VARIABLE} to a writable folder on a disk with free space."
_MOVE_HUB = "Set HF_HOME to a writable folder on a disk with free space."


def check_places() -> Iterator[Check]:
    """Yield a check for each folder: whether it is writable, and its free space.

    None is needed to caption with a model that is on this machine.
    """
    yield check_place("data", paths.data_dir(), LEAST_FREE, _MOVE)
    yield check_place("cache", paths.cache_dir(), LEAST_FREE, _MOVE)
    yield check_place("settings", paths.config_file().parent, LEAST_FOR_SETTINGS, _MOVE)
    yield check_place("Hub cache", _hub_cache(), LEAST_FREE, _MOVE_HUB)


def check_place(name: str, place: Path, least: int, cure: str) -> Check:
    """Check that files can be written in a folder and `least` bytes are free.

    The folder need not exist: its nearest parent that does is tried, and nothing is left behind.
    That nothing can be written there is no fault: some machines are read-only on purpose.
    """
    parent = place
    while not parent.exists() and parent != parent.parent:
        parent = parent.parent
    try:
        with tempfile.TemporaryFile(dir=parent) as stream:
            stream.write(b"capgen")
        free = shutil.disk_usage(parent).free
    except OSError as error:
        detail = f"cannot write in {parent}: {error.strerror}"
        if error.errno not in _READ_ONLY:
            return Check(name, False, detail, cure)
        return Check(
            name, None, f"{detail} (only training, data sets, downloads and settings need it)", cure
        )
    detail = f"{place}: {free / 1e9:,.1f} GB free"
    return Check(name, True, detail) if free >= least else Check(name, False, detail, cure)


def check_caches() -> Iterator[Check]:
    """Yield the size of each part of capgen's cache, and of the Hub's."""
    parts = usage()
    for part in parts:
        yield Check(part.title, None, f"{part.bytes / 1e6:,.1f} MB in {part.path}")
    if not parts:
        yield Check("capgen", None, "empty")
    yield _hub_size()


def _hub_size() -> Check:
    from huggingface_hub import CacheNotFound, scan_cache_dir

    try:
        cache = scan_cache_dir(_hub_cache())
    except CacheNotFound:
        return Check("Hub", None, "empty")
    except ValueError as error:  # a file instead of the folder
        return Check("Hub", False, str(error), _MOVE_HUB)
    damaged = f", {len(cache.warnings)} damaged" if cache.warnings else ""
    size = cache.size_on_disk / 1e6
    return Check("Hub", None, f"{size:,.1f} MB in {len(cache.repos)} repositories{damaged}")


def _hub_cache() -> Path:
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)
