"""The caches: where each is, what it holds, how large it is, and how to clear it.

All code that keeps something below `paths.cache_dir()` gets the path from here, so that
`capgen data cache` and `capgen doctor` see all of it. Nothing in a cache is the only copy.
"""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from capgen import paths


@dataclass(frozen=True)
class Cache:
    """A folder or file in `paths.cache_dir()` of data that can be made again."""

    name: str
    title: str

    @property
    def path(self) -> Path:
        """Where it is; it need not exist."""
        return paths.cache_dir() / self.name

    def entry(self, *sources: str, suffix: str = "") -> Path:
        """Return the path of an entry made from `sources`: everything that decides its content."""
        # The names of files may be no valid text.
        key = "\0".join(sources).encode("utf-8", "surrogateescape")
        digest = hashlib.sha256(key).hexdigest()
        return self.path / f"{digest[:32]}{suffix}"

    @contextmanager
    def database(self, table: str) -> Iterator[sqlite3.Connection | None]:
        """Open it as a database with a table, or yield None if that is impossible.

        Args:
            table: What `CREATE TABLE IF NOT EXISTS` takes: a name, and the columns in brackets.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self.path, timeout=10)
            connection.execute(f"CREATE TABLE IF NOT EXISTS {table}")
        except (OSError, sqlite3.Error):
            yield None
            return
        with closing(connection):
            yield connection


IMAGES = Cache("pictures", "decoded images")
FEATURES = Cache("features", "encoder features")
TEACHER_CAPTIONS = Cache("captions", "teachers' captions")
THUMBNAILS = Cache("thumbnails", "thumbnails of reviews")
SHARDS = Cache("webdataset", "images from tar shards")
ARCHIVES = Cache("archives", "images from archives beside tables")
SAVED_DATASETS = Cache("datasets", "images from `datasets` directories and Parquet files")
FILE_HASHES = Cache("file-hashes.sqlite", "checksums of image files")
CLIP_FEATURES = Cache("clip-features.sqlite", "CLIP features of images and captions")
BERT_SCORES = Cache("bert-scores.sqlite", "BERTScores of captions")
PARAPHRASES = Cache("meteor-paraphrases", "paraphrases of METEOR 1.5")
CACHES = (
    *(IMAGES, FEATURES, TEACHER_CAPTIONS, THUMBNAILS),
    *(SHARDS, ARCHIVES, SAVED_DATASETS, FILE_HASHES, CLIP_FEATURES, BERT_SCORES, PARAPHRASES),
)


def root() -> Path:
    """Return the folder of all caches (it need not exist)."""
    return paths.cache_dir()


def is_cached(path: Path) -> bool:
    """Whether a file is in a cache, so that `capgen data cache --clear` deletes it."""
    return path.is_relative_to(paths.cache_dir())


@dataclass(frozen=True, kw_only=True)
class Usage:
    """The size of one cache: what it holds (`title`), its path, its files and their bytes."""

    title: str
    path: Path
    files: int
    bytes: int


def usage() -> list[Usage]:
    """Return the size of each cache that exists."""
    return [
        Usage(title=cache.title, path=cache.path, files=len(sizes), bytes=sum(sizes))
        for cache in CACHES
        if cache.path.exists()
        for sizes in [_sizes(cache.path)]
    ]


def clear() -> int:
    """Empty all caches and return the number of bytes freed.

    Processes that have a file mapped keep it until they end; on Windows such a file stays.
    """
    caches = usage()
    for cache in caches:
        with paths.storage_errors(cache.path):
            if cache.path.is_dir():
                shutil.rmtree(cache.path)
            else:
                cache.path.unlink()
    return sum(cache.bytes for cache in caches)


def _sizes(path: Path) -> list[int]:
    """Return the size of each file at or below `path`, except any that vanish meanwhile."""
    sizes = []
    for file in [path, *path.rglob("*")]:
        with suppress(FileNotFoundError):
            if file.is_file():
                sizes.append(file.stat().st_size)
    return sizes
