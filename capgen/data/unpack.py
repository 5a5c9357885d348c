"""Unpack archives of unknown origin: everything is checked before anything is written.

Refused are names that lead out of the folder, links, devices, the same name twice, encrypted
members, and archives that would grow beyond measure.
"""

from __future__ import annotations

import fnmatch
import functools
import shutil
import stat
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO

from capgen.config import setting
from capgen.errors import DataError, StorageError
from capgen.paths import folded, storage_errors, works_everywhere

_SKIPPED = frozenset(("__MACOSX", ".DS_Store", "Thumbs.db"))


@dataclass(frozen=True, kw_only=True)
class UnpackLimits:
    """How much an archive may grow."""

    ratio: float = setting(100.0, "Most bytes that one byte of an archive may become.")
    always_allowed: int = setting(100_000_000, "Bytes that are allowed whatever the ratio.")
    members: int = setting(1_000_000, "Most members of an archive.")


@dataclass(frozen=True, kw_only=True)
class Member:
    """One file in an archive.

    Attributes:
        name: Its name as the archive has it.
        target: Where it goes, relative to the folder it is unpacked into.
        size: Bytes it will have.
        open: Opens it for reading.
    """

    name: str
    target: PurePosixPath
    size: int
    open: Callable[[], IO[bytes]]


@contextmanager
def opened(path: Path, limits: UnpackLimits | None = None) -> Iterator[list[Member]]:
    """Open a zip or tar archive and give its files, all of them checked.

    Raises:
        DataError: It is no archive, is damaged, or is refused; the message names the member.
    """
    limits = limits or UnpackLimits()
    with archive_faults(path):
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                yield _checked(path, _zip_members(path, archive), limits)
        elif tarfile.is_tarfile(path):
            with tarfile.open(path) as tar:
                yield _checked(path, _tar_members(path, tar), limits)
        else:
            raise DataError(f"{path} is neither a zip nor a tar archive")


def unpack(
    path: Path,
    into: Path,
    *,
    patterns: Sequence[str] = (),
    limits: UnpackLimits | None = None,
) -> Iterator[tuple[int, int]]:
    """Unpack an archive into a folder.

    Args:
        path: A zip or tar archive.
        into: The folder; it is made. Files that are there already are never overwritten.
        patterns: Shell patterns of the members to take; none takes all.
        limits: How much it may grow.

    Yields:
        Files written and files in all.

    Raises:
        DataError: As for `opened`; nothing has been written when an archive is refused.
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
                    shutil.copyfileobj(source, file, 1 << 18)
            yield done, len(chosen)


def check_space(folder: Path, needed: int, purpose: str) -> None:
    """Check that the disk of `folder` (which need not exist) has room.

    Raises:
        StorageError: It has not.
    """
    place = folder
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if needed > free:
        raise StorageError(
            f"Not enough disk space in {folder} to {purpose}:"
            f" {needed / 1e6:,.0f} MB needed, {free / 1e6:,.0f} MB free",
            hint="Free some space, or choose another place with --data-dir.",
        )


@contextmanager
def archive_faults(path: Path) -> Iterator[None]:
    """Turn what the archive modules raise for damaged archives into DataError."""
    try:
        yield
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, ValueError) as error:
        raise DataError(f"{path} is damaged: {error}") from error
    except RuntimeError as error:  # zipfile: a password, or a method it does not know
        raise DataError(f"{path} cannot be unpacked: {error}") from error


def _zip_members(path: Path, archive: zipfile.ZipFile) -> Iterator[Member]:
    for info in archive.infolist():
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise _refuse(path, info.filename, "is a link or a device")
        if info.flag_bits & 1:
            raise _refuse(path, info.filename, "is encrypted")
        target = _target(path, info.orig_filename)
        if not info.is_dir():
            yield Member(
                name=info.filename,
                target=target,
                size=info.file_size,
                open=functools.partial(archive.open, info),
            )


def _tar_members(path: Path, archive: tarfile.TarFile) -> Iterator[Member]:
    for info in archive:
        if not (info.isreg() or info.isdir()) or info.issparse():
            raise _refuse(path, info.name, "is a link or a device")
        target = _target(path, info.name)
        if info.isreg():
            yield Member(
                name=info.name,
                target=target,
                size=info.size,
                open=functools.partial(_open_tar, archive, info),
            )


def _open_tar(archive: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    file = archive.extractfile(info)
    assert file is not None, "only regular files get here"
    return file


def _checked(path: Path, members: Iterator[Member], limits: UnpackLimits) -> list[Member]:
    most = max(limits.always_allowed, int(path.stat().st_size * limits.ratio))
    kept: list[Member] = []
    seen: set[str] = set()
    total = 0
    for member in members:
        # Some file systems would write both to one file.
        key = folded(str(member.target))
        if key in seen:
            raise _refuse(path, member.name, "is there twice")
        seen.add(key)
        total += member.size
        if total > most or len(seen) > limits.members:
            raise _refuse(path, member.name, f"makes it grow beyond {most / 1e6:,.0f} MB")
        if not _SKIPPED.intersection(member.target.parts):
            kept.append(member)
    return kept


def _target(path: Path, name: str) -> PurePosixPath:
    posix, windows = PurePosixPath(name), PureWindowsPath(name)
    if not name or "\0" in name or "\\" in name:
        raise _refuse(path, name, "has a name that is not safe")
    if posix.is_absolute() or windows.drive or windows.root:
        raise _refuse(path, name, "has an absolute name")
    if ".." in posix.parts:
        raise _refuse(path, name, "leads out of the folder")
    if sys.platform == "win32" and not all(map(works_everywhere, posix.parts)):
        raise _refuse(path, name, "has a name that Windows does not allow")
    return posix


def _wanted(member: Member, patterns: Sequence[str]) -> bool:
    return not patterns or any(fnmatch.fnmatch(str(member.target), p) for p in patterns)


def _refuse(path: Path, name: str, why: str) -> DataError:
    return DataError(
        f"{path} is refused: its member {name!r} {why}", hint="Nothing of it was unpacked."
    )
