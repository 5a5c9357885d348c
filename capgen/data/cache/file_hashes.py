"""SHA-256 of many files, remembered between runs by path, size and modification times."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from capgen.cache_folders import FILE_HASHES
from capgen.digests import file_digest
from capgen.errors import DataError

logger = logging.getLogger(__name__)

_Key = tuple[str, int, str]
_TABLE = "hashes (path TEXT PRIMARY KEY, size INTEGER, changed TEXT, sha256 BLOB)"


def hash_files(files: Sequence[Path]) -> list[bytes]:
    """Return the SHA-256 (32 bytes) of each file's content.

    Files hashed before whose size and times are unchanged are not read again. The hashes are in
    a small database in the cache folder; without one (a read-only home) every file is read.
    """
    keys = [_key(file) for file in files]
    with FILE_HASHES.database(_TABLE) as memory:
        known = _recall(memory, keys)
        missing = [key for key in dict.fromkeys(keys) if key not in known]
        logger.debug("hashes of %d files: %d remembered", len(keys), len(known))
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            fresh = dict(zip(missing, pool.map(_hash_file, missing), strict=True))
        _remember(memory, fresh)
    known |= fresh
    return [known[key] for key in keys]


def _key(file: Path) -> _Key:
    try:
        status = file.stat()
    except OSError as error:
        raise DataError(f"Cannot read {file}: {error.strerror}") from error
    # Both times: copying tools reset the first, nothing resets the second.
    changed = f"{status.st_mtime_ns} {status.st_ctime_ns}"
    return os.path.abspath(file), status.st_size, changed  # noqa: PTH100 (keeps links)


def _hash_file(key: _Key) -> bytes:
    return bytes.fromhex(file_digest(Path(key[0]), DataError))


def _recall(memory: sqlite3.Connection | None, keys: Sequence[_Key]) -> dict[_Key, bytes]:
    known: dict[_Key, bytes] = {}
    if memory is None:
        return known
    for start in range(0, len(keys), 500):
        part = [key[0] for key in keys[start : start + 500]]
        marks = ",".join("?" * len(part))
        try:
            rows = memory.execute(f"SELECT * FROM hashes WHERE path IN ({marks})", part).fetchall()
        except sqlite3.Error:
            break  # a damaged database is like none
        known |= {(path, size, changed): digest for path, size, changed, digest in rows}
    return known


def _remember(memory: sqlite3.Connection | None, fresh: dict[_Key, bytes]) -> None:
    if memory is None or not fresh:
        return
    with suppress(sqlite3.Error), memory:  # a full disk or a busy database costs no result
        memory.executemany(
            "INSERT OR REPLACE INTO hashes VALUES (?, ?, ?, ?)",
            [(*key, digest) for key, digest in fresh.items()],
        )
