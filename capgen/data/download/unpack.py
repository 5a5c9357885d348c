"""Unpack archives of unknown origin: everything is checked before anything is written.

Names that lead out of the folder, links, devices, sparse files, duplicate names, encrypted
members and archives that would grow too large are refused.
"""

from __future__ import annotations

import fnmatch
import functools
import shutil
import stat
import struct
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO

from capgen.config.archives import UnpackLimits
from capgen.errors import DataError, StorageError
from capgen.images.tar_archives import BLOCK_BYTES, TarReader, open_tar
from capgen.paths import folded, storage_errors, works_everywhere

_SKIPPED = frozenset(("__MACOSX", ".DS_Store", "Thumbs.db"))


@dataclass(frozen=True, kw_only=True)
class Member:
    """One file in an archive.

    Attributes:
        name: Its name in the archive.
        target: Its path relative to the folder it is unpacked into.
        size: Its unpacked size in bytes.
        open: Opens it for reading, in pieces of up to `BLOCK_BYTES`.
        fault: Why it must not be unpacked, or an empty string.
    """

    name: str
    target: PurePosixPath
    size: int
    open: Callable[[], IO[bytes]]
    fault: str = ""


@contextmanager
def opened(
    path: Path,
    limits: UnpackLimits | None = None,
    on_refused: Callable[[Member], None] | None = None,
) -> Iterator[list[Member]]:
    """Open a zip or tar archive and yield its files, all of them checked.

    Args:
        path: The archive.
        limits: How much it may grow.
        on_refused: Receives the members that must not be unpacked; without it, any such
            member makes the whole archive refused.

    Raises:
        DataError: It is not an archive, damaged or refused; the message names the member.
    """
    limits = limits or UnpackLimits()
    with archive_faults(path):
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                yield _checked(path, _zip_members(archive), limits, on_refused)
        else:
            with ExitStack() as stack:
                try:
                    tar = stack.enter_context(open_tar(path, limits))
                except tarfile.ReadError as error:
                    message = f"{path} is neither a zip nor a tar archive ({error})"
                    raise DataError(message) from error
                yield _checked(path, _tar_members(tar), limits, on_refused)


def unpack(
    path: Path,
    into: Path,
    *,
    patterns: Sequence[str] = (),
    limits: UnpackLimits | None = None,
) -> Iterator[tuple[int, int]]:
    """Unpack a zip or tar archive into a folder, yielding files written and the total.

    Existing files are never overwritten. `patterns` are shell patterns of the members to
    unpack; without any, all are.

    Raises:
        DataError: As for `opened`; nothing is written of a refused archive.
        StorageError: The disk is full or the folder cannot be written.
    """
    with opened(path, limits) as members:
        chosen = [member for member in members if _wanted(member, patterns)]
        check_space(into, sum(member.size for member in chosen), f"unpack {path.name}")
        for done, member in enumerate(chosen, start=1):
            target = into / member.target
            with storage_errors(target):
                target.parent.mkdir(parents=True, exist_ok=True)
                if target.exists():
                    raise DataError(f"{path}: {member.name} is there twice")
                with member.open() as source, target.open("xb") as file:
                    shutil.copyfileobj(source, file, BLOCK_BYTES)
            yield done, len(chosen)


def check_space(folder: Path, needed: int, purpose: str) -> None:
    """Raise StorageError if the disk of `folder` (which need not exist) has too little room."""
    place = next(place for place in (folder, *folder.parents) if place.exists())
    free = shutil.disk_usage(place).free
    if needed > free:
        raise StorageError(
            f"Not enough disk space in {folder} to {purpose}:"
            f" {needed / 1e6:,.0f} MB needed, {free / 1e6:,.0f} MB free",
            hint="Free some space, or choose another place with --data-dir.",
        )


@contextmanager
def archive_faults(path: Path) -> Iterator[None]:
    """Turn the exceptions of the archive modules into DataError."""
    try:
        yield
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, ValueError) as error:
        raise DataError(f"{path} is damaged: {error}") from error
    except struct.error as error:  # zipfile
        raise DataError(f"{path} is damaged: a header is broken") from error
    except RuntimeError as error:  # zipfile: a password, or a method it does not know
        raise DataError(f"{path} cannot be unpacked: {error}") from error


def _zip_members(archive: zipfile.ZipFile) -> Iterator[Member]:
    for info in archive.infolist():
        if not info.filename.endswith("/"):  # is_dir() fails for an empty name
            yield Member(
                name=info.filename,
                target=PurePosixPath(info.orig_filename),
                size=info.file_size,
                open=functools.partial(archive.open, info),
                fault=_zip_fault(info) or _name_fault(info.orig_filename),
            )


def _zip_fault(info: zipfile.ZipInfo) -> str:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link or a device"
    if info.flag_bits & 1:
        return "is encrypted"
    if info.header_offset < 0:
        return "is damaged"
    # With other methods, zipfile unpacks whole blocks into memory, whatever their size.
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return f"cannot be unpacked: its compression ({info.compress_type}) is not Deflate"
    return ""


def _tar_members(archive: TarReader) -> Iterator[Member]:
    for info in archive:
        if not info.isdir():
            fault = "is a link or a device" if not info.isreg() else ""
            yield Member(
                name=info.name,
                target=PurePosixPath(info.name),
                size=info.size,
                open=functools.partial(archive.open, info),
                fault=fault or ("is a sparse file" if info.issparse() else _name_fault(info.name)),
            )


def _checked(
    path: Path,
    members: Iterator[Member],
    limits: UnpackLimits,
    on_refused: Callable[[Member], None] | None,
) -> list[Member]:
    most = limits.growth(path.stat().st_size)
    kept: list[Member] = []
    seen: set[str] = set()
    total = 0
    for number, member in enumerate(members, start=1):
        if number > limits.members:
            raise _refuse(path, member.name, f"makes it grow beyond {limits.members:,} members")
        key = folded(str(member.target))  # some file systems would write both to one file
        fault = member.fault or ("is there twice" if key in seen else "")
        if fault:
            if on_refused is None:
                raise _refuse(path, member.name, fault)
            on_refused(replace(member, fault=fault))
            continue
        seen.add(key)
        total += member.size
        if total > most:
            raise _refuse(path, member.name, f"makes it grow beyond {most / 1e6:,.0f} MB")
        if not _SKIPPED.intersection(member.target.parts):
            kept.append(member)
    return kept


def _name_fault(name: str) -> str:
    posix, windows = PurePosixPath(name), PureWindowsPath(name)
    if not name or "\0" in name or "\\" in name:
        return "has a name that is not safe"
    if posix.is_absolute() or windows.drive or windows.root:
        return "has an absolute name"
    if ".." in posix.parts:
        return "leads out of the folder"
    if sys.platform == "win32" and not all(map(works_everywhere, posix.parts)):
        return "has a name that Windows does not allow"
    return ""


def _wanted(member: Member, patterns: Sequence[str]) -> bool:
    return not patterns or any(fnmatch.fnmatch(str(member.target), p) for p in patterns)


def _refuse(path: Path, name: str, why: str) -> DataError:
    return DataError(
        f"{path} is refused: its member {name!r} {why}", hint="Nothing of it was unpacked."
    )
