"""The caches: where each is, what it holds, how much it takes, and clearing it.

Whoever keeps something below `paths.cache_dir()` takes the place for it from here, so that
`capgen data cache` and `capgen doctor` see all of it. Nothing in a cache is ever the only copy.
"""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path

from capgen import paths


@dataclass(frozen=True)
class Cache:
    """A folder, or a single file, of what can be made again.

    Attributes:
        name: Its name in `paths.cache_dir()`.
        title: What it holds.
    """

    name: str
    title: str

    @property
    def path(self) -> Path:
        """Where it is; it need not exist."""
        return paths.cache_dir() / self.name

    def entry(self, *sources: str, suffix: str = "") -> Path:
        """Return the place of what is made from `sources`: everything that decides its content."""
        digest = hashlib.sha256("\0".join(sources).encode()).hexdigest()
        return self.path / f"{digest[:32]}{suffix}"


IMAGES = Cache("pictures", "decoded images")
FEATURES = Cache("features", "encoder features")
TEACHER_CAPTIONS = Cache("captions", "teachers' captions")
SHARDS = Cache("webdataset", "images out of tar shards")
SAVED_DATASETS = Cache("datasets", "images out of saved `datasets` directories")
FILE_HASHES = Cache("file-hashes.sqlite", "checksums of image files")
CACHES = (IMAGES, FEATURES, TEACHER_CAPTIONS, SHARDS, SAVED_DATASETS, FILE_HASHES)


def is_cached(path: Path) -> bool:
    """Whether a file is in a cache, so that `capgen data cache --clear` deletes it."""
    return path.is_relative_to(paths.cache_dir())


@dataclass(frozen=True, kw_only=True)
class Usage:
    """How much one cache takes.

    Attributes:
        title: What it holds.
        path: Where it is.
        files: Number of files.
        bytes: Their size.
    """

    title: str
    path: Path
    files: int
    bytes: int


def usage() -> list[Usage]:
    """Return what each cache takes; those that are not there are left out."""
    return [
        Usage(title=cache.title, path=cache.path, files=len(sizes), bytes=sum(sizes))
        for cache in CACHES
        if cache.path.exists()
        for sizes in [_sizes(cache.path)]
    ]


def clear() -> int:
    """Empty all caches and return how many bytes that freed.

    Processes that have a file mapped keep it until they end (not so on Windows, where such a
    file stays).

    Raises:
        StorageError: A cache cannot be removed.
    """
    found = usage()
    for cache in found:
        with paths.storage_errors(cache.path):
            if cache.path.is_dir():
                shutil.rmtree(cache.path)
            else:
                cache.path.unlink()
    return sum(cache.bytes for cache in found)


def _sizes(path: Path) -> list[int]:
    """Return the size of each file at or below `path`, but for those that vanish meanwhile."""
    sizes = []
    for file in [path, *path.rglob("*")]:
        try:
            if file.is_file():
                sizes.append(file.stat().st_size)
        except FileNotFoundError:
            continue
    return sizes
