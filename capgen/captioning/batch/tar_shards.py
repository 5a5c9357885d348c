"""Images in tar archives (WebDataset shards), read without unpacking to disk."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from capgen.addresses import without_credentials
from capgen.captioning.batch.sources import BytesSource, FailedSource, Source
from capgen.config import ImageLimits
from capgen.config.archives import UnpackLimits
from capgen.errors import ImageError
from capgen.file_types import has_image_suffix
from capgen.images.decoders import printable
from capgen.images.folders import is_seen_member
from capgen.images.tar_archives import BLOCK_BYTES, TarReader, open_tar, read_tar
from capgen.storage.attempts import StoreError


def read_shard(
    place: Path | str, limits: ImageLimits, wanted: Callable[[str], bool]
) -> Iterator[Source]:
    """Yield the images of a tar archive in its order, named `ARCHIVE/MEMBER`.

    A damaged archive, or one that decompresses to too much, yields its images up to that point,
    then a failure.

    Args:
        place: The archive's path, or its address in a store: then a piece of it is in memory.
        limits: Larger members become failures without being read.
        wanted: Whether to take the member of that name.

    Raises:
        StoreError: The store does not give it to its end: images that follow would be missed.
    """
    path = without_credentials(place) if isinstance(place, str) else os.fspath(place)
    has_images = False
    try:
        with _open(place) as archive:
            for member in archive:
                name = member.name
                if not (member.isfile() and has_image_suffix(name) and is_seen_member(name)):
                    continue
                has_images = True
                if wanted(name):
                    yield _source(archive, member, f"{path}/{name}", limits)
    except (tarfile.TarError, OSError) as error:
        yield _failure(path, error)
        return
    except StoreError as error:
        if has_images or error.fault not in ("missing", "permission"):
            raise
        yield FailedSource(path, ImageError(error.message, code=error.fault))
        return
    if not has_images:
        message = f"{printable(path)}: no images in this archive"
        yield FailedSource(path, ImageError(message, code="empty"))


def _source(archive: TarReader, member: tarfile.TarInfo, name: str, limits: ImageLimits) -> Source:
    if member.issparse():
        text = f"{printable(name)}: capgen does not read sparse files in archives"
        return FailedSource(name, ImageError(text, code="unsupported"))
    if member.size > limits.max_bytes:
        text = f"{printable(name)}: {member.size:,} bytes exceed the limit of {limits.max_bytes:,}"
        return FailedSource(name, ImageError(text, code="too_large"))
    stream = archive.open(member)
    return BytesSource(name, b"".join(iter(lambda: stream.read(BLOCK_BYTES), b"")))


@contextmanager
def _open(place: Path | str) -> Iterator[TarReader]:
    if isinstance(place, Path):
        with open_tar(place, UnpackLimits()) as archive:
            yield archive
        return
    from capgen.storage.reading import open_object

    with open_object(place) as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        with read_tar(file, size, UnpackLimits()) as archive:
            yield archive


def _failure(path: str, error: Exception) -> FailedSource:
    if isinstance(error, PermissionError):
        fault = ImageError(f"{printable(path)}: not allowed to read it", code="permission")
    elif isinstance(error, FileNotFoundError):
        fault = ImageError(f"{printable(path)}: no such file", code="missing")
    else:
        text = f"{printable(path)}: the archive is damaged ({printable(str(error))})"
        fault = ImageError(text, code="unreadable")
    return FailedSource(path, fault)
