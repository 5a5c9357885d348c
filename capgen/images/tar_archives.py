"""Tar archives of unknown origin, read by tarfile within bounds.

tarfile trusts headers: it reads a header of any claimed size into memory, seeks beyond the end
of a truncated archive, and goes back if a size is negative. So it reads from a file object that
limits the bytes of each header and of a decompressed archive. Sparse files are not extracted:
a few bytes of them can stand for any number of zeros.
"""

from __future__ import annotations

import importlib
import io
import os
import re
import stat
import sys
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from capgen.config.archives import UnpackLimits

BLOCK_BYTES = 1 << 18
# First bytes → module. A Python may have been built without some of them.
_COMPRESSED = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bz2",
    b"\xfd7zXZ\0": "lzma",
    b"\x5d\0\0\x80": "lzma",
}
# What tarfile raises, besides its own errors, for a broken header.
_HEADER_FAULTS = (ArithmeticError, LookupError, ValueError, MemoryError, RecursionError)
# Attributes for all members; each costs time at every member. `git archive` writes one.
_MOST_COMMON = 100
# tarfile needs quadratic time for long numbers (Python 3.11) and for records with a wrong
# length.
_LONG_NUMBER = re.compile(rb"\d{100}")
_RECORD = re.compile(rb"(\d+) ")


class TarReader:
    """The members of a tar archive, in order; `content` is the uncompressed archive.

    Raises:
        tarfile.ReadError: It is not a tar archive, or cannot be read further.
    """

    def __init__(self, content: _Content, limits: UnpackLimits) -> None:
        self._content = content
        self._limits = limits
        with self._reading_headers():
            self._tar = tarfile.TarFile(fileobj=cast(Any, content), tarinfo=_Member)

    def __iter__(self) -> Iterator[tarfile.TarInfo]:
        last = -1
        while True:
            with self._reading_headers():
                member = self._tar.next()
            if member is None:
                break
            if len(self._tar.pax_headers) > _MOST_COMMON:
                raise tarfile.ReadError("a header is too long")
            if member.offset <= last or member.size < 0:
                raise tarfile.ReadError("a size in a header is wrong")
            last = member.offset
            # Both would stay in memory for every member.
            self._tar.members.clear()  # type: ignore[attr-defined]
            member.pax_headers = {}
            yield member
        # tarfile mistakes a broken header for the end.
        if self._content.last_header.strip(b"\0"):
            raise tarfile.ReadError("a header is broken")

    def open(self, member: tarfile.TarInfo) -> IO[bytes]:
        """Open a regular file that is not sparse, for reading in pieces of `BLOCK_BYTES`."""
        file = self._tar.extractfile(member)
        assert file is not None, "a regular file"
        return file

    @contextmanager
    def _reading_headers(self) -> Iterator[None]:
        self._content.header_room = self._limits.header
        try:
            yield
        except _HEADER_FAULTS as error:
            raise tarfile.ReadError("a header is broken") from error
        finally:
            self._content.header_room = None


@contextmanager
def open_tar(path: Path, limits: UnpackLimits) -> Iterator[TarReader]:
    """Open a tar archive or a pipe, possibly compressed by gzip, bzip2 or xz.

    Raises:
        tarfile.ReadError: It is not a tar archive.
        OSError: It cannot be opened.
    """
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        size = status.st_size if stat.S_ISREG(status.st_mode) else None
        with read_tar(file, size, limits) as archive:
            yield archive


@contextmanager
def read_tar(
    file: io.BufferedReader, size: int | None, limits: UnpackLimits
) -> Iterator[TarReader]:
    """Read an open file as `open_tar` does; its size may be unknown.

    Raises:
        tarfile.ReadError: It is not a tar archive.
    """
    start = file.peek(6)[:6]
    for magic, module in _COMPRESSED.items():
        if start.startswith(magic):
            most = sys.maxsize if size is None else limits.growth(size)
            excess = f"it grows beyond {most / 1e6:,.0f} MB"
            with _decompressed(file, module) as unpacked:
                yield TarReader(_Content(unpacked, most, excess), limits)
            return
    most = sys.maxsize if size is None else size
    yield TarReader(_Content(file, most, "it is truncated"), limits)


def _decompressed(file: IO[bytes], module: str) -> Any:
    try:
        return importlib.import_module(module).open(file)
    except ImportError as error:
        raise tarfile.ReadError(f"this Python has no module {module}") from error


class _Member(tarfile.TarInfo):
    """A member whose sparse map is not parsed; tarfile raises ValueError for a broken one."""

    def _proc_gnusparse_00(self, member: tarfile.TarInfo, *_: object) -> None:
        member.sparse = b""

    _proc_gnusparse_01 = _proc_gnusparse_10 = _proc_gnusparse_00


class _Content:
    """The file that tarfile reads: the content of an archive, with limits.

    Args:
        file: The content; if it cannot seek, it is read forwards only.
        most: Bytes that it may have.
        excess: What is wrong with an archive that has more.

    Attributes:
        header_room: Bytes of headers that may still be read, or None while data is read.
        last_header: The last block of a header.
    """

    def __init__(self, file: IO[bytes], most: int, excess: str) -> None:
        self._file = file
        self._most = most
        self._excess = excess
        self._place = 0
        self.header_room: int | None = None
        self.last_header = b""

    def tell(self) -> int:
        return self._place

    def seekable(self) -> bool:
        return self._file.seekable()

    def seek(self, place: int) -> int:
        if not 0 <= place <= self._most:
            raise tarfile.ReadError(self._excess)
        if self.seekable():
            with _content_faults():
                self._place = self._file.seek(place)
        else:
            while self._place < place and self._get(min(BLOCK_BYTES, place - self._place)):
                pass
        if self._place != place:
            raise tarfile.ReadError("it is truncated")
        return place

    def read(self, size: int) -> bytes:
        if self.header_room is None:
            return self._get(size)
        self.header_room -= size
        if self.header_room < 0 or size < 0:
            raise tarfile.ReadError("a header is too long")
        self.last_header = self._get(size)
        if size > tarfile.BLOCKSIZE and not _is_sound(self.last_header):
            raise tarfile.ReadError("a header is broken")
        return self.last_header

    def _get(self, size: int) -> bytes:
        with _content_faults():
            data = self._file.read(size)
        self._place += len(data)
        if self._place > self._most:
            raise tarfile.ReadError(self._excess)
        return data


def _is_sound(header: bytes) -> bool:
    """Whether tarfile parses a long header in linear time: a name, or valid pax records."""
    if _LONG_NUMBER.search(header):
        return False
    start = 0
    while found := _RECORD.match(header, start):
        end = start + int(found[1])
        record = header[start:end]
        if not (record.endswith(b"\n") and b"=" in record):
            return False
        start = end
    return True


@contextmanager
def _content_faults() -> Iterator[None]:
    """Turn the exceptions of the compression modules into ReadError."""
    try:
        yield
    except Exception as error:
        # Those of gzip and bz2 are OSErrors without an errno. lzma need not be installed.
        own = isinstance(error, OSError) and error.errno is None
        known = own or isinstance(error, EOFError | zlib.error | MemoryError)
        if not known and type(error).__name__ != "LZMAError":
            raise
        raise tarfile.ReadError("its compressed data is damaged") from error
