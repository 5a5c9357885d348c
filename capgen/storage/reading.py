"""Objects of stores: whole, their beginning, or as a file that is read in pieces."""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

from capgen.addresses import is_stored
from capgen.paths import writing
from capgen.storage.attempts import StoreError, attempt
from capgen.storage.drivers import open_store

_PIECE_BYTES = 8 << 20


def read_object(address: str, most: int, *, stop: Event | None = None) -> bytes:
    """Return an object's content; if it has more than `most` bytes, these and one more.

    Raises:
        StoreError: It cannot be read.
    """
    store, path = open_store(address)
    try:
        data: bytes = attempt(
            address, lambda: store.cat_file(path, start=0, end=most + 1), stop=stop
        )
    except StoreError as error:
        # A store refuses a range of an empty object.
        if error.fault == "refused" and object_size(address, stop=stop) == 0:
            return b""
        raise
    return data


def object_size(address: str, *, stop: Event | None = None) -> int:
    """Return an object's size in bytes.

    Raises:
        StoreError: There is none, or it cannot be looked up.
    """
    store, path = open_store(address)
    found = attempt(address, lambda: store.info(path), stop=stop)
    if found["type"] != "file":
        raise StoreError(address, "missing")
    return int(found["size"])


def is_object(address: str) -> bool:
    """Whether there is an object, not a folder or nothing."""
    try:
        object_size(address)
    except StoreError as error:
        if error.fault == "missing":
            return False
        raise
    return True


class StoredFile(io.RawIOBase):
    """An object as a file for reading, of which a piece is in memory.

    Args:
        address: The object.
        stop: Once it is set, nothing is tried again.

    Raises:
        StoreError: It cannot be looked up, or, later, read.
    """

    def __init__(self, address: str, *, stop: Event | None = None) -> None:
        super().__init__()
        self._address = address
        self._stop = stop
        self._store, self._path = open_store(address)
        self.size = object_size(address, stop=stop)
        self._place = 0
        self._begin, self._piece = 0, b""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self.size}[whence]
        self._place = max(0, start + offset)
        return self._place

    def readinto(self, buffer: Any) -> int:
        if self._place >= self.size:
            return 0
        if not self._begin <= self._place < self._begin + len(self._piece):
            self._begin, self._piece = self._place, self._get(self._place, len(buffer))
        start = self._place - self._begin
        part = self._piece[start : start + len(buffer)]
        buffer[: len(part)] = part
        self._place += len(part)
        return len(part)

    def _get(self, place: int, wanted: int) -> bytes:
        end = min(self.size, place + max(wanted, _PIECE_BYTES))
        data: bytes = attempt(
            self._address,
            lambda: self._store.cat_file(self._path, start=place, end=end),
            stop=self._stop,
        )
        if len(data) != end - place:
            raise StoreError(self._address, "refused", "it changed while it was read")
        return data


def open_object(address: str) -> io.BufferedReader:
    """Open an object for reading.

    Raises:
        StoreError: It cannot be looked up, or, later, read.
    """
    return io.BufferedReader(StoredFile(address), 1 << 18)


def download(address: str, path: Path) -> None:
    """Copy an object to a local file, which appears whole.

    Raises:
        StoreError: It cannot be read.
        StorageError: The file cannot be written.
    """
    with open_object(address) as source, writing(path) as temporary, temporary.open("wb") as file:
        while block := source.read(_PIECE_BYTES):
            file.write(block)


@contextmanager
def as_local(place: str) -> Iterator[Path]:
    """Return the path of a file for the length of a block: its own, or of a copy of an object.

    Raises:
        StoreError: The object cannot be read.
    """
    if not is_stored(place):
        yield Path(place)
        return
    with tempfile.TemporaryDirectory(prefix="capgen-") as folder:
        path = Path(folder, place.rstrip("/").rpartition("/")[2])
        download(place, path)
        yield path


def upload(path: Path, address: str) -> None:
    """Copy a local file to an object, which appears whole; large ones in parts.

    Raises:
        StoreError: It cannot be written.
    """
    store, place = open_store(address)
    attempt(address, lambda: store.put_file(str(path), place))
