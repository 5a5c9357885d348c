"""A folder of files that are written whole: on a disk, or in a store."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Protocol

from capgen.addresses import is_stored, without_credentials
from capgen.errors import StorageError
from capgen.paths import storage_errors, writing
from capgen.storage.attempts import StoreError, attempt
from capgen.storage.drivers import open_store

_BLOCK = 1 << 20


class Folder(Protocol):
    """Named files in one place. A file is there whole or not at all.

    Attributes:
        address: The folder's path or address.
    """

    address: str

    def names(self) -> set[str]:
        """Return the names of the files in it; none if there is no such folder."""
        ...

    def read(self, name: str) -> bytes | None:
        """Return a file's content, or None if it is not there."""
        ...

    def write(self, name: str, data: bytes) -> None:
        """Write or replace a file, in one step."""
        ...

    def write_file(self, name: str, file: Path) -> None:
        """Write or replace a file with a copy of another one, in one step."""
        ...

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        ...


class DiskFolder:
    """A folder on this machine's disks."""

    def __init__(self, path: Path) -> None:
        self.address = os.fspath(path)
        self._path = path

    def names(self) -> set[str]:
        try:
            return set(_files(self._path))
        except FileNotFoundError:
            return set()
        except OSError as error:
            raise StorageError(f"Cannot read {self._path}: {error.strerror}") from error

    def read(self, name: str) -> bytes | None:
        try:
            return (self._path / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageError(f"Cannot read {self._path / name}: {error.strerror}") from error

    def write(self, name: str, data: bytes) -> None:
        self._write(name, lambda stream: stream.write(data))

    def write_file(self, name: str, file: Path) -> None:
        with file.open("rb") as content:
            self._write(name, lambda stream: shutil.copyfileobj(content, stream, _BLOCK))

    def _write(self, name: str, fill: Callable[[BinaryIO], object]) -> None:
        with writing(self._path / name, sweep=False) as temporary, temporary.open("wb") as stream:
            fill(stream)
            stream.flush()
            os.fsync(stream.fileno())

    def remove(self, name: str) -> None:
        with storage_errors(self._path / name), suppress(FileNotFoundError):
            (self._path / name).unlink()


class StoredFolder:
    """A folder in a store. Credentials are not part of its address."""

    def __init__(self, address: str) -> None:
        self.address = without_credentials(address).rstrip("/")
        self._address = address.rstrip("/")
        self._store, self._path = open_store(self._address)

    def names(self) -> set[str]:
        def listed() -> set[str]:
            try:
                entries = self._store.ls(self._path, detail=True)
            except FileNotFoundError:
                return set()
            return {
                entry["name"].rsplit("/", 1)[-1] for entry in entries if entry["type"] == "file"
            }

        return attempt(self._address, listed)

    def read(self, name: str) -> bytes | None:
        try:
            return attempt(
                self._place(name), lambda: bytes(self._store.cat_file(f"{self._path}/{name}"))
            )
        except StoreError as error:
            if error.fault == "missing":
                return None
            raise

    def write(self, name: str, data: bytes) -> None:
        # Stores show an object when its upload is complete.
        attempt(self._place(name), lambda: self._store.pipe_file(f"{self._path}/{name}", data))

    def write_file(self, name: str, file: Path) -> None:
        attempt(
            self._place(name),
            lambda: self._store.put_file(os.fspath(file), f"{self._path}/{name}"),
        )

    def remove(self, name: str) -> None:
        try:
            attempt(self._place(name), lambda: self._store.rm_file(f"{self._path}/{name}"))
        except StoreError as error:
            if error.fault != "missing":
                raise

    def _place(self, name: str) -> str:
        return f"{self._address}/{name}"


def open_folder(place: str | os.PathLike[str]) -> Folder:
    """Return the folder at a path or an address; it need not exist."""
    name = os.fspath(place)
    return StoredFolder(name) if is_stored(name) else DiskFolder(Path(name))


def _files(folder: Path) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_file():
                yield entry.name
