"""What the cache folder holds, and emptying it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from capgen import paths

# Everything that is made again when it is needed.
PARTS = {
    "pictures": "decoded images",
    "photos": "decoded training images",
    "features": "encoder features",
    "webdataset": "images out of tar shards",
    "datasets": "images out of saved `datasets` directories",
    "file-hashes.sqlite": "checksums of image files",
}


@dataclass(frozen=True, kw_only=True)
class Usage:
    """How much one part of the cache takes."""

    title: str
    path: Path
    files: int
    bytes: int


def usage() -> list[Usage]:
    """Return what each part of the cache takes; parts that are not there are left out."""
    found = []
    for name, title in PARTS.items():
        path = paths.cache_dir() / name
        if path.exists():
            files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
            size = sum(file.stat().st_size for file in files)
            found.append(Usage(title=title, path=path, files=len(files), bytes=size))
    return found


def clear() -> int:
    """Empty the cache and return how many bytes that freed.

    Processes that have a part mapped keep it until they end (not so on Windows, where such a
    file stays).

    Raises:
        StorageError: A part cannot be removed.
    """
    freed = 0
    for part in usage():
        with paths.storage_errors(part.path):
            if part.path.is_dir():
                shutil.rmtree(part.path)
            else:
                part.path.unlink()
        freed += part.bytes
    return freed
