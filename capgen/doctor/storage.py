"""The places that capgen writes to, and what its caches take."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from capgen import paths
from capgen.data.cache.folders import usage
from capgen.records import Check

# Less than this is too little: a trained model takes half a gigabyte, decoded images more.
LEAST_FREE = 1_000_000_000
LEAST_FOR_SETTINGS = 1_000_000
_MOVE = f"Set {paths.HOME_VARIABLE} to a folder on a disk where you may write and there is space."
_MOVE_HUB = "Set HF_HOME to a folder on a disk where you may write and there is space."


def look() -> Iterator[Check]:
    """Yield a check for each place: whether it can be written, and its free space."""
    yield check_place("data", paths.data_dir(), LEAST_FREE, _MOVE)
    yield check_place("cache", paths.cache_dir(), LEAST_FREE, _MOVE)
    yield check_place("settings", paths.config_file().parent, LEAST_FOR_SETTINGS, _MOVE)
    yield check_place("Hub cache", _hub_cache(), LEAST_FREE, _MOVE_HUB)


def check_place(name: str, place: Path, least: int, cure: str) -> Check:
    """Look whether files can be made in a folder that need not exist yet.

    Nothing is left behind: the nearest folder that exists is tried.

    Args:
        name: What the place is for.
        place: The folder.
        least: Bytes that must be free.
        cure: What to do if it does not serve.
    """
    there = place
    while not there.exists() and there != there.parent:
        there = there.parent
    try:
        with tempfile.TemporaryFile(dir=there) as stream:
            stream.write(b"capgen")
        free = shutil.disk_usage(there).free
    except OSError as error:
        return Check(name, False, f"cannot write in {there}: {error.strerror}", cure)
    detail = f"{place}: {free / 1e9:,.1f} GB free"
    return Check(name, True, detail) if free >= least else Check(name, False, detail, cure)


def look_at_caches() -> Iterator[Check]:
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
        found = scan_cache_dir(_hub_cache())
    except CacheNotFound:
        return Check("Hub", None, "empty")
    except ValueError as error:  # a file in the folder's place
        return Check("Hub", False, str(error), _MOVE_HUB)
    damaged = f", {len(found.warnings)} damaged" if found.warnings else ""
    size = found.size_on_disk / 1e6
    return Check("Hub", None, f"{size:,.1f} MB in {len(found.repos)} repositories{damaged}")


def _hub_cache() -> Path:
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)
