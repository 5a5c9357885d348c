"""The cache of encoder features: an array with a row per image, memory-mapped.

Files are named after their sources; each can be deleted and made again. Rows are added to a part
file, which gets the name when it is complete: the next run goes on where one was interrupted.
"""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from capgen.cache_folders import FEATURES
from capgen.errors import DataError
from capgen.locks import Lock
from capgen.paths import storage_errors
from capgen.records import Notice, PreparationEvent

logger = logging.getLogger(__name__)

_SECONDS_BETWEEN_EVENTS = 1.0

# Makes the rows from a given one on, in order, in blocks of any size; notices are passed on.
Blocks = Callable[[int], Iterator[NDArray[Any] | Notice]]


@dataclass(frozen=True, kw_only=True)
class CacheFile:
    """The cached features of a split, named after everything that decides them: `sources`.

    Attributes:
        split: The split.
        sources: What decides the features.
        rows: How many there are.
        batch: Rows that are computed together: an interrupted file goes on at a multiple.
    """

    split: str
    sources: tuple[str, ...]
    rows: int
    batch: int = 1

    @property
    def path(self) -> Path:
        """The file."""
        return FEATURES.entry(
            FEATURES.name, self.split, str(self.rows), *self.sources, suffix=".npy"
        )

    def get(self, blocks: Blocks) -> Generator[PreparationEvent | Notice, None, NDArray[Any]]:
        """Return the array; if it is not cached, make it from blocks of rows.

        Raises:
            DataError: There are too few rows.
            StorageError: The file cannot be written.
        """
        known = self.path.is_file()
        logger.debug("%s %s: features of %s", "found" if known else "making", self.path, self.split)
        if not known:
            locked = self.path.with_suffix(".lock")
            lock = Lock(locked, f"computing the features of {self.split}")
            for message in lock.wait():
                yield Notice(message=message)
            with lock.held():
                if not self.path.is_file():
                    yield from self._make(blocks)
                with suppress(OSError):  # Windows removes no open file
                    locked.unlink(missing_ok=True)  # nobody needs it any more
        # Copy on write: torch wants arrays that look writable.
        array: NDArray[Any] = np.load(self.path, mmap_mode="c", allow_pickle=False)
        return array

    def _make(self, blocks: Blocks) -> Iterator[PreparationEvent | Notice]:
        part = self.path.with_suffix(".part")
        with storage_errors(part):
            done = _whole_rows(part, self.rows, self.batch)
            yield self._progress(done)
            with part.open("ab") as file:
                if done < self.rows:
                    yield from self._add(file, blocks, done)
            part.replace(self.path)

    def _add(self, file: Any, blocks: Blocks, done: int) -> Iterator[PreparationEvent | Notice]:
        reported = time.monotonic()
        for block in blocks(done):
            if isinstance(block, Notice):
                yield block
                continue
            if done == 0:
                descr = np.lib.format.dtype_to_descr(block.dtype)
                shape = (self.rows, *block.shape[1:])
                header = {"descr": descr, "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(file, header)
            file.write(np.ascontiguousarray(block).data)
            done += len(block)
            if time.monotonic() - reported > _SECONDS_BETWEEN_EVENTS or done == self.rows:
                reported = time.monotonic()
                yield self._progress(done)
        if done != self.rows:
            raise DataError(f"{self.split} gave {done} images instead of {self.rows}")

    def _progress(self, done: int) -> PreparationEvent:
        return PreparationEvent(stage=FEATURES.name, split=self.split, done=done, total=self.rows)


def _whole_rows(part: Path, rows: int, batch: int) -> int:
    """Cut a part file to whole batches of its `rows`; return how many rows are there."""
    try:
        with part.open("rb") as file:
            np.lib.format.read_magic(file)
            shape, _, dtype = np.lib.format.read_array_header_1_0(file)
            start = file.tell()
    except (FileNotFoundError, ValueError):  # none, or not even a header
        part.unlink(missing_ok=True)
        return 0
    row = math.prod(shape[1:]) * dtype.itemsize
    done = (part.stat().st_size - start) // row
    if done < rows:
        done -= done % batch
    if done == 0:
        part.unlink()
        return 0
    os.truncate(part, start + done * row)
    return int(done)
