"""Files of some rows of an array: what each holds, which rows are missing, and who makes which.

A file has the header of the whole array (`.npy`), then the rows from `first` on, as many as its
writer came to. Rows are made in batches that begin at multiples of the batch, whoever makes them,
so that the numbers are the same.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

# First row, and the one after the last.
Range = tuple[int, int]
# Bytes that are copied at once.
_CHUNK = 1 << 24


@dataclass(frozen=True, kw_only=True)
class RowFile:
    """A file of rows.

    Attributes:
        path: The file.
        first: Its first row.
        stop: The row after its last whole batch.
        dtype: Of its numbers.
        shape: Of the whole array.
        start: Bytes of its header.
    """

    path: Path
    first: int
    stop: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    start: int

    def copy(self, file: IO[bytes], done: int, rows: int) -> int:
        """Add to a file of rows up to `done` what this one has beyond; return up to where it is."""
        if self.stop <= done:
            return done
        if file.tell() == 0:
            write_header(file, self.dtype, (rows, *self.shape[1:]))
        with self.path.open("rb") as source:
            source.seek(self._bytes(done))
            left = self._bytes(self.stop) - self._bytes(done)
            while left:
                chunk = source.read(min(left, _CHUNK))
                if not chunk:
                    raise OSError(f"{self.path} has become shorter")
                file.write(chunk)
                left -= len(chunk)
        file.flush()
        return self.stop

    def cut(self) -> None:
        """Cut the file to its whole batches."""
        os.truncate(self.path, self._bytes(self.stop))

    def _bytes(self, row: int) -> int:
        return self.start + (row - self.first) * _row_bytes(self.dtype, self.shape)


def read_row_file(path: Path, first: int, rows: int, batch: int) -> RowFile | None:
    """Return what a file holds of an array with `rows` rows; None without one whole batch.

    Raises:
        OSError: The file cannot be read.
    """
    try:
        with path.open("rb") as file:
            np.lib.format.read_magic(file)
            shape, _, dtype = np.lib.format.read_array_header_1_0(file)
            start = file.tell()
            size = os.fstat(file.fileno()).st_size
    except (FileNotFoundError, ValueError):  # none, or not even a header
        return None
    stop = first + (size - start) // _row_bytes(dtype, shape)
    if stop < rows:
        stop -= stop % batch
    if stop <= first:
        return None
    return RowFile(path=path, first=first, stop=stop, dtype=dtype, shape=shape, start=start)


def write_header(file: IO[bytes], dtype: np.dtype[Any], shape: Sequence[int]) -> None:
    """Begin a file of rows of an array."""
    descr = np.lib.format.dtype_to_descr(dtype)
    header = {"descr": descr, "fortran_order": False, "shape": tuple(shape)}
    np.lib.format.write_array_header_1_0(file, header)


def missing_rows(files: Iterable[RowFile], rows: int) -> list[Range]:
    """Return the ranges of rows that files, sorted by their first row, lack."""
    missing, done = [], 0
    for file in files:
        if done < file.first:
            missing.append((done, file.first))
        done = max(done, file.stop)
    return [*missing, (done, rows)] if done < rows else missing


def share_of(missing: Iterable[Range], batch: int, place: int, count: int) -> list[Range]:
    """Return one of `count` shares of whole batches, equal but for one batch.

    Args:
        missing: All ranges of rows to share; each begins at a multiple of `batch`.
        batch: Rows of a batch; the last range may end with a shorter one.
        place: The number of the share, from 0.
        count: How many there are.
    """
    ranges = list(missing)
    sizes = [math.ceil((stop - first) / batch) for first, stop in ranges]
    begin, end = (sum(sizes) * number // count for number in (place, place + 1))
    share, before = [], 0
    for (first, stop), size in zip(ranges, sizes, strict=True):
        low, high = (min(max(number - before, 0), size) for number in (begin, end))
        if low < high:
            share.append((first + low * batch, min(first + high * batch, stop)))
        before += size
    return share


def _row_bytes(dtype: np.dtype[Any], shape: tuple[int, ...]) -> int:
    return math.prod(shape[1:]) * dtype.itemsize
