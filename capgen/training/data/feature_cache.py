"""The cache of encoder features: an array with a row per image, memory-mapped.

Files are named after their sources; each can be deleted and made again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from capgen.data.cache.folders import FEATURES
from capgen.errors import DataError
from capgen.paths import writing
from capgen.records import PreparationEvent

logger = logging.getLogger(__name__)

_SECONDS_BETWEEN_EVENTS = 1.0


@dataclass(frozen=True, kw_only=True)
class CacheFile:
    """The cached features of a split, named after everything that decides them: `sources`."""

    split: str
    sources: tuple[str, ...]
    rows: int

    @property
    def path(self) -> Path:
        """The file."""
        return FEATURES.entry(
            FEATURES.name, self.split, str(self.rows), *self.sources, suffix=".npy"
        )

    def get(
        self, blocks: Iterable[NDArray[Any]]
    ) -> Generator[PreparationEvent, None, NDArray[Any]]:
        """Return the array; if it is not cached, make it from blocks of rows, in order."""
        known = self.path.is_file()
        logger.debug("%s %s: features of %s", "found" if known else "making", self.path, self.split)
        if not known:
            yield from self._write(blocks)
        # Copy on write: torch wants arrays that look writable.
        array: NDArray[Any] = np.load(self.path, mmap_mode="c", allow_pickle=False)
        return array

    def _write(self, blocks: Iterable[NDArray[Any]]) -> Generator[PreparationEvent, None, None]:
        done, reported = 0, time.monotonic()
        with writing(self.path) as temporary, temporary.open("wb") as file:
            for block in blocks:
                if done == 0:
                    descr = np.lib.format.dtype_to_descr(block.dtype)
                    shape = (self.rows, *block.shape[1:])
                    header = {"descr": descr, "fortran_order": False, "shape": shape}
                    np.lib.format.write_array_header_1_0(file, header)
                file.write(np.ascontiguousarray(block).data)
                done += len(block)
                if time.monotonic() - reported > _SECONDS_BETWEEN_EVENTS or done == self.rows:
                    reported = time.monotonic()
                    yield PreparationEvent(
                        stage=FEATURES.name, split=self.split, done=done, total=self.rows
                    )
            if done != self.rows:
                raise DataError(f"{self.split} gave {done} images instead of {self.rows}")
