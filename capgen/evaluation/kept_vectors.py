"""What models computed for images and texts, kept by content in a cache.

A cache that cannot be read or written costs time and no result.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import numpy.typing as npt

from capgen.cache_folders import Cache

Vector = npt.NDArray[np.floating[Any]]
_TABLE = "vectors (model TEXT, content BLOB, vector BLOB, PRIMARY KEY (model, content))"
# SQLite may be built to take no more than 999 values at a time.
_AT_ONCE = 500


class KeptVectors:
    """The vectors in a cache, or in none.

    Args:
        store: The open database, or None if there is none.
        dtype: The type of the numbers, as NumPy writes it: `<f4`.
    """

    def __init__(self, store: sqlite3.Connection | None, dtype: str) -> None:
        self._store = store
        self._dtype = dtype

    def recall(self, model: str, contents: Sequence[bytes]) -> dict[bytes, Vector]:
        """Return content → vector, of those contents that are kept.

        Args:
            model: All that decides a vector besides its content.
            contents: The hash of each content.
        """
        known: dict[bytes, Vector] = {}
        if self._store is None:
            return known
        for start in range(0, len(contents), _AT_ONCE):
            part = contents[start : start + _AT_ONCE]
            which = f"model=? AND content IN ({','.join('?' * len(part))})"
            query = f"SELECT content, vector FROM vectors WHERE {which}"
            with suppress(sqlite3.Error):  # a damaged database is like none
                rows = self._store.execute(query, [model, *part]).fetchall()
                known |= {content: np.frombuffer(row, self._dtype) for content, row in rows}
        return known

    def remember(self, model: str, fresh: Mapping[bytes, Vector]) -> None:
        """Keep vectors by content."""
        if self._store is None:
            return
        rows = [(model, key, row.astype(self._dtype).tobytes()) for key, row in fresh.items()]
        # A full disk or a busy database costs no result.
        with suppress(sqlite3.Error), self._store:
            self._store.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", rows)


@contextmanager
def kept_vectors(cache: Cache, dtype: str) -> Iterator[KeptVectors]:
    """Give the vectors of a cache, for as long as it is open.

    Args:
        cache: The cache.
        dtype: The type of the numbers, as NumPy writes it: `<f4`.
    """
    with cache.database(_TABLE) as store:
        yield KeptVectors(store, dtype)
