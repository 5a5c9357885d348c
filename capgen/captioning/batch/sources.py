"""Sources of images: files, addresses, objects, archive members, and inputs without an image.

A source takes little memory until it is read; many threads read.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from threading import Event
from typing import Protocol, Self

from capgen.addresses import is_stored, is_url, without_credentials
from capgen.config import ImageLimits
from capgen.errors import ImageError
from capgen.images.decoders import printable
from capgen.images.load import read_file


class Source(Protocol):
    """One image to caption."""

    @property
    def name(self) -> str:
        """The image's name in records."""
        ...

    @property
    def label(self) -> str:
        """The name for messages, as one printable line."""
        ...

    @property
    def file(self) -> Path | None:
        """The file on disk, or None for other sources."""
        ...

    @property
    def distant(self) -> bool:
        """Whether it is in a store: reading is mostly waiting, so many are read at a time."""
        ...

    def read(self, limits: ImageLimits, stop: Event) -> bytes:
        """Return the image's bytes. Thread-safe.

        Args:
            limits: Largest size.
            stop: Set when the image is no longer needed.

        Raises:
            ImageError: The image cannot be read.
        """
        ...


@dataclass(frozen=True, slots=True)
class _Named:
    name: str

    @property
    def label(self) -> str:
        return printable(self.name) or "''"

    @property
    def file(self) -> Path | None:
        return None

    @property
    def distant(self) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class FileSource(_Named):
    """A file; `path` is where it is, if that is not its name."""

    path: str | None = None

    @property
    def file(self) -> Path | None:
        return Path(self.name if self.path is None else self.path)

    def read(self, limits: ImageLimits, stop: Event) -> bytes:
        path = self.name if self.path is None else self.path
        if not _may_block(path):
            return read_file(path, self.label, limits)
        from capgen.captioning.abandoning import unless_stopped

        return unless_stopped(
            stop,
            lambda: read_file(path, self.label, limits),
            cancelled=ImageError(f"{self.label}: the reading was cancelled", code="unreadable"),
            thread="capgen-pipe",
        )


@dataclass(frozen=True, slots=True)
class BytesSource(_Named):
    """Bytes in memory, from stdin, an archive or a table; the name is empty if they have none."""

    data: bytes

    def read(self, limits: ImageLimits, stop: Event) -> bytes:
        return self.data


@dataclass(frozen=True, slots=True)
class UrlSource(_Named):
    """An image on the network.

    Args:
        name: Its address without credentials.
        address: Its address.
        allow_private: Fetch from private addresses as well.
    """

    address: str
    allow_private: bool = False

    @classmethod
    def at(cls, address: str, *, allow_private: bool) -> Self:
        """Return the image at an address; user and password stay out of its name."""
        return cls(without_credentials(address), address, allow_private)

    def read(self, limits: ImageLimits, stop: Event) -> bytes:
        from capgen.captioning.batch.download import fetch_unless

        return fetch_unless(
            stop, self.address, max_bytes=limits.max_bytes, allow_private=self.allow_private
        )


@dataclass(frozen=True, slots=True)
class StoredSource(_Named):
    """An image in a store (see `capgen.storage`).

    Args:
        name: Its address without credentials.
        address: Its address, if that is not its name.
        size: Its bytes, or None if they are not known.
    """

    address: str | None = None
    size: int | None = None

    @classmethod
    def at(cls, address: str, size: int | None = None) -> Self:
        """Return the image at an address; user and password stay out of its name."""
        name = without_credentials(address)
        return cls(name, None if name == address else address, size)

    @property
    def distant(self) -> bool:
        return True

    def read(self, limits: ImageLimits, stop: Event) -> bytes:
        from capgen.captioning.batch.stored_bytes import read_stored

        address = self.address or self.name
        return read_stored(address, self.label, limits.max_bytes, self.size, stop)


@dataclass(frozen=True, slots=True)
class FailedSource(_Named):
    """An input without an image: an empty folder, a broken line of a list."""

    error: ImageError

    def read(self, limits: ImageLimits, stop: Event) -> bytes:
        raise self.error


def _may_block(path: str) -> bool:
    """Whether reading a file may never end: a pipe waits until somebody writes into it."""
    try:
        return not stat.S_ISREG(os.stat(path).st_mode)  # noqa: PTH116 (nothing in a name is special)
    except (OSError, ValueError):
        return False  # `read_file` says why


def named_source(
    name: str, *, base: Path | str | None = None, allow_private: bool = False
) -> Source:
    """Return the source for a path or an address in a list or a manifest.

    Relative paths start from `base`, a folder or an address in a store, by default the working
    directory.
    """
    if is_url(name):
        return UrlSource.at(name, allow_private=allow_private)
    if is_stored(name):
        return _stored(name, allow_private=allow_private)
    if not name:
        return FileSource("")
    if base is None:
        return FileSource(os.fspath(Path(name)))
    if isinstance(base, str):
        return FileSource(name) if name.startswith("/") else StoredSource.at(f"{base}/{name}")
    path = base / name
    if "\\" in name and not os.path.lexists(path):  # written on Windows
        path = base / PureWindowsPath(name).as_posix()
    return FileSource(os.fspath(path))


def _stored(address: str, *, allow_private: bool) -> Source:
    """Return the source for an address in a list, which may be a stranger's.

    It must not make capgen tell a machine of the stranger's who is asking.
    """
    from capgen.storage.drivers import is_known, names_host

    name = without_credentials(address)
    shown = printable(name)
    if not is_known(address):
        error = ImageError(f"{shown}: capgen does not read such addresses", code="unsupported")
    elif names_host(address) and not allow_private:
        text = f"{shown}: a list may not name machines that capgen logs in to"
        hint = "If you trust the list, use --allow-private-addresses."
        error = ImageError(text, code="refused_address", hint=hint)
    else:
        return StoredSource.at(address)
    return FailedSource(name, error)
