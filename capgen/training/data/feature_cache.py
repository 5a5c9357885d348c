"""The cache of encoder features: an array with a row per image, memory-mapped.

Files are named after their sources; each can be deleted and made again. Rows are added to a part
file, which gets the name when it is complete: the next run goes on where one was interrupted.
Several processes compute a share each, into files of their own (`row_files`), which are then added
to the part file.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from capgen.cache_folders import FEATURES
from capgen.errors import DataError
from capgen.locks import Lock
from capgen.paths import storage_errors
from capgen.records import Notice, PreparationEvent
from capgen.training.data.row_files import (
    Range,
    RowFile,
    missing_rows,
    read_row_file,
    share_of,
    write_header,
)
from capgen.training.processes.crews import ALONE, Crew

logger = logging.getLogger(__name__)

_SECONDS_BETWEEN_EVENTS = 1.0

# Makes the rows of a range, in order, in blocks of any size; notices are passed on.
Blocks = Callable[[int, int], Iterator[NDArray[Any] | Notice]]
Events = Iterator[PreparationEvent | Notice]


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

    def get(
        self, blocks: Blocks, crew: Crew = ALONE
    ) -> Generator[PreparationEvent | Notice, None, NDArray[Any]]:
        """Return the array; if it is not cached, make it from blocks of rows.

        Each process of the crew makes a share of the blocks.

        Raises:
            DataError: There are too few rows.
            StorageError: The file cannot be written.
        """
        with ExitStack() as held:
            missing: list[Range] = []
            if crew.leads and not self._known():
                yield from self._locked(held)
                if self.path.is_file():
                    _remove(self._lock)
                else:
                    missing = missing_rows(self._found(), self.rows)
                if not crew.whole:
                    # While it waited for the other crews, it would block a run that they wait for.
                    held.close()
            missing = crew.told(missing)
            if missing and len(crew.members) > 1:
                yield from self._share(blocks, missing, crew)
            crew.processes.wait()
            if crew.leads and not self.path.is_file():
                if not crew.whole:
                    yield from self._locked(held)
                if not self.path.is_file():
                    yield from self._make(blocks)
                _remove(self._lock)  # nobody needs it any more
        crew.processes.wait()
        # Copy on write: torch wants arrays that look writable.
        array: NDArray[Any] = np.load(self.path, mmap_mode="c", allow_pickle=False)
        return array

    @property
    def _lock(self) -> Path:
        return self.path.with_suffix(".lock")

    def _known(self) -> bool:
        known = self.path.is_file()
        logger.debug("%s %s: features of %s", "found" if known else "making", self.path, self.split)
        return known

    def _locked(self, held: ExitStack) -> Iterator[Notice]:
        lock = Lock(self._lock, f"computing the features of {self.split}")
        for message in lock.wait():
            yield Notice(message=message)
        held.enter_context(lock.held())

    def _found(self) -> list[RowFile]:
        """Return the files of rows that were made before, in order, the part file first."""
        with storage_errors(self.path):
            part = read_row_file(self.path.with_suffix(".part"), 0, self.rows, self.batch)
            found = [] if part is None else [part]
            for path in self.path.parent.glob(f"{self.path.stem}.*.part"):
                first = int(path.name.split(".")[1].partition("-")[0])
                file = read_row_file(path, first, self.rows, self.batch)
                if file is None:
                    _remove(path)
                else:
                    found.append(file)
            return sorted(found, key=lambda file: file.first)

    def _share(self, blocks: Blocks, missing: list[Range], crew: Crew) -> Events:
        """Make this process's share of the missing rows, into files of their own."""
        count = len(crew.members)
        have = self.rows - sum(stop - first for first, stop in missing)
        yield self._progress(have)
        for first, stop in share_of(missing, self.batch, crew.place, count):
            # A process of a run that is ending may still write: nobody else has this name.
            path = self.path.with_suffix(f".{first}-{secrets.token_hex(4)}.part")
            with storage_errors(path), path.open("ab") as file:
                yield from self._add(file, blocks, (first, stop), have, count)
            have += count * (stop - first)

    def _make(self, blocks: Blocks) -> Events:
        """Join what was made before, and make the rest."""
        part = self.path.with_suffix(".part")
        with storage_errors(part):
            found = self._found()
            have = self.rows - sum(stop - start for start, stop in missing_rows(found, self.rows))
            yield self._progress(have)
            done = _cut(part, found.pop(0) if found and found[0].path == part else None)
            with part.open("ab") as file:
                for other in found:
                    if done < other.first:
                        yield from self._add(file, blocks, (done, other.first), have)
                        have += other.first - done
                        done = other.first
                    done = other.copy(file, done, self.rows)
                    _remove(other.path)
                if done < self.rows:
                    yield from self._add(file, blocks, (done, self.rows), have)
            part.replace(self.path)

    def _add(
        self, file: IO[bytes], blocks: Blocks, rows: Range, have: int, each: int = 1
    ) -> Events:
        """Write a range of rows; others make as many meanwhile, to tell of `each` times the rows.

        Args:
            file: Where to.
            blocks: Makes them.
            rows: The range.
            have: How many rows there were before.
            each: How many processes make such a range.
        """
        reported = time.monotonic()
        done, stop = rows
        for block in blocks(done, stop):
            if isinstance(block, Notice):
                yield block
                continue
            if file.tell() == 0:
                write_header(file, block.dtype, (self.rows, *block.shape[1:]))
            file.write(np.ascontiguousarray(block).data)
            file.flush()  # kept even if the process is killed
            done += len(block)
            told = min(self.rows, have + each * (done - rows[0]))
            if time.monotonic() - reported > _SECONDS_BETWEEN_EVENTS or told == self.rows:
                reported = time.monotonic()
                yield self._progress(told)
        if done != stop:
            raise DataError(f"{self.split} gave {done} images instead of {stop}")

    def _progress(self, done: int) -> PreparationEvent:
        return PreparationEvent(stage=FEATURES.name, split=self.split, done=done, total=self.rows)


def _cut(part: Path, file: RowFile | None) -> int:
    """Cut a part file to its whole batches; return how many rows are there."""
    if file is None:
        part.unlink(missing_ok=True)
        return 0
    file.cut()
    return file.stop


def _remove(path: Path) -> None:
    with suppress(OSError):  # Windows removes no open file
        path.unlink(missing_ok=True)
