"""Command-line inputs as sources: files, folders, patterns, lists, archives, addresses, stores."""

from __future__ import annotations

import fnmatch
import glob
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from capgen.addresses import is_stored, is_url, without_credentials
from capgen.captioning.batch.sources import (
    FailedSource,
    FileSource,
    Source,
    StoredSource,
    UrlSource,
)
from capgen.config import ImageLimits, InputOptions
from capgen.errors import ImageError
from capgen.file_types import has_image_suffix
from capgen.images.decoders import printable
from capgen.images.folders import find_images, is_shard, natural_key, passed_over
from capgen.paths import is_folder
from capgen.storage.drivers import check_driver
from capgen.tables.rows import is_parquet

STDIN = "-"


class Inputs:
    """The images that a command line names.

    Folders and patterns are listed at once; lists, manifests and archives are read as needed.

    Args:
        names: Files, folders, patterns, archives, addresses, or `-` for stdin.
        options: How to read them.
        manifest: A table that names images (see `capgen.tables`): a path, or an address in a
            store.
        stdin: Stream that `-` stands for.
        limits: The largest image to take out of an archive.
        sources: Images that something else has found.

    Raises:
        DataError: The manifest cannot be read.
    """

    def __init__(
        self,
        names: Sequence[str],
        options: InputOptions | None = None,
        *,
        manifest: Path | str | None = None,
        stdin: BinaryIO | None = None,
        limits: ImageLimits | None = None,
        sources: Sequence[Source] = (),
    ) -> None:
        options = options or InputOptions()
        limits = limits or ImageLimits()
        # Lists are known in full; other iterables are read as needed.
        self._parts: list[Iterable[Source]] = [
            _expand(name, options, limits, stdin) for name in names
        ]
        if sources:
            self._parts.append(list(sources))
        if manifest is not None:
            from capgen.captioning.batch.manifests import read_manifest

            check_driver(str(manifest))

            manifest = Path(manifest) if not is_stored(str(manifest)) else str(manifest)
            self._parts.append(read_manifest(manifest, options))
        self._names = list(names)
        self._options = options
        self._manifest = manifest
        self._stdin = stdin

    @property
    def total(self) -> int | None:
        """Number of images, or None while that is unknown."""
        known = [part for part in self._parts if isinstance(part, list)]
        return sum(map(len, known)) if len(known) == len(self._parts) else None

    @property
    def alone(self) -> str | None:
        """The file, if a single file and nothing else was named, or None."""
        if self.total != 1 or len(self._names) != 1:
            return None
        (source,) = self
        named = isinstance(source, FileSource) and source.name == os.fspath(Path(self._names[0]))
        return source.name if named or not self._names[0] else None

    def known_images(self) -> Iterator[Path]:
        """Yield the image files known before lists and archives are read."""
        for part in self._parts:
            if isinstance(part, list):
                yield from (source.file for source in part if source.file is not None)

    def files(self) -> Iterator[str | Path | int]:
        """Yield all files known to be read: images, archives, lists; stdin's descriptor."""
        yield from self.known_images()
        for name in self._names:
            if name != STDIN:
                yield name
            elif self._stdin is not None:
                with suppress(OSError, ValueError):  # not a file, as in tests and notebooks
                    yield self._stdin.fileno()
        if self._manifest is not None:
            yield self._manifest

    def passed_over(self) -> Counter[str]:
        """Count what the named folders hold besides what is captioned, by kind."""
        counts: Counter[str] = Counter()
        for folder in filter(is_folder, map(Path, filter(None, self._local_names()))):
            with suppress(OSError):  # its own record says why it cannot be read
                counts += passed_over(folder, recursive=self._options.recursive)
        return counts

    def stored(self) -> list[str]:
        """Return the named addresses in stores, without credentials; the manifest's, too."""
        names = [*self._names, str(self._manifest or "")]
        return [without_credentials(name) for name in names if is_stored(name)]

    def _local_names(self) -> list[str]:
        return [name for name in self._names if not is_stored(name) and not is_url(name)]

    def __iter__(self) -> Iterator[Source]:
        for part in self._parts:
            yield from part


def selected(name: str, options: InputOptions) -> bool:
    """Whether a path in a folder or archive passes `--include` and `--exclude`.

    A pattern is matched against the whole path and against its last part, whatever the case.
    """

    def matches(patterns: Iterable[str]) -> bool:
        parts = (name.casefold(), name.casefold().rsplit("/", 1)[-1])
        return any(
            fnmatch.fnmatchcase(part, pattern.casefold()) for pattern in patterns for part in parts
        )

    return (not options.include or matches(options.include)) and not matches(options.exclude)


def _expand(
    name: str, options: InputOptions, limits: ImageLimits, stdin: BinaryIO | None
) -> Iterable[Source]:
    if name == STDIN and stdin is not None:
        from capgen.captioning.batch.manifests import read_stdin

        return read_stdin(stdin, options, limits)
    if is_url(name):
        return [UrlSource.at(name, allow_private=options.allow_private)]
    if is_stored(name):
        return _stored(name, options, limits)
    path = Path(name)
    if not name or os.path.lexists(path):
        return _existing(name, path, options, limits)
    if glob.has_magic(name) or name.startswith("~"):
        return _pattern(name, options, limits)
    return [FileSource(os.fspath(path))]


def _existing(
    name: str, path: Path, options: InputOptions, limits: ImageLimits
) -> Iterable[Source]:
    if name and is_folder(path):
        return _folder(path, options)
    if is_shard(path):
        from capgen.captioning.batch.tar_shards import read_shard

        return read_shard(path, limits, lambda member: selected(member, options))
    if is_parquet(path.name):
        from capgen.captioning.batch.parquet_rows import read_parquet

        return read_parquet(path, options, limits)
    return [FileSource(os.fspath(path) if name else "")]


def _stored(address: str, options: InputOptions, limits: ImageLimits) -> Iterable[Source]:
    """Return what an address in a store names. Nothing is listed before it is needed."""
    check_driver(address)
    if glob.has_magic(address):
        return _stored_matches(address, options, limits)
    if has_image_suffix(address):
        return [StoredSource.at(address)]
    return _stored_object(address, options, limits)


def _stored_object(address: str, options: InputOptions, limits: ImageLimits) -> Iterator[Source]:
    """Yield the images of an archive, a table of images or a folder, or a file of any name."""
    from capgen.captioning.batch.stored import images_below, is_file

    if is_shard(Path(address)):
        from capgen.captioning.batch.tar_shards import read_shard

        yield from read_shard(address, limits, lambda member: selected(member, options))
    elif is_parquet(address):
        from capgen.captioning.batch.parquet_rows import read_parquet

        yield from read_parquet(address, options, limits)
    elif is_file(address):
        yield StoredSource.at(address)
    else:
        yield from images_below(
            address, recursive=options.recursive, wanted=lambda name: selected(name, options)
        )


def _stored_matches(pattern: str, options: InputOptions, limits: ImageLimits) -> Iterator[Source]:
    for found in stored_matches(pattern, options):
        if isinstance(found, str):
            yield from _stored_object(found, options, limits)
        else:
            yield found


def stored_matches(pattern: str, options: InputOptions) -> Iterator[Source | str]:
    """Yield the images that a pattern of a store names, and addresses of archives and tables."""
    from capgen.captioning.batch.stored import matches_of, no_match

    found = False
    for address, size in matches_of(pattern):
        found = True
        if not has_image_suffix(address):
            yield address
        elif selected(address, options):
            yield StoredSource.at(address, size)
    if not found:
        yield no_match(pattern)


def _pattern(name: str, options: InputOptions, limits: ImageLimits) -> Iterable[Source]:
    expanded = os.path.expanduser(name)  # noqa: PTH111 (Path.expanduser raises for ~nobody)
    if os.path.lexists(expanded):
        return _existing(expanded, Path(expanded), options, limits)
    # Path.glob takes no absolute patterns.
    matches = map(Path, glob.iglob(expanded, recursive=True))  # noqa: PTH207
    images = [path for path in matches if has_image_suffix(path.name) and path.is_file()]
    if not images:
        error = ImageError(f"{printable(name)}: no such file", code="missing")
        return [FailedSource(name, error)]
    paths = sorted((path for path in images if selected(path.as_posix(), options)), key=natural_key)
    return [FileSource(os.fspath(path)) for path in paths]


def _folder(folder: Path, options: InputOptions) -> list[Source]:
    try:
        images = find_images(folder, options.recursive)
        if not images:
            deeper = passed_over(folder, recursive=options.recursive)["subfolders"]
            hint = "Use --recursive to include subfolders." if deeper else ""
            message = f"{printable(folder)}: no images in this folder"
            raise ImageError(message, code="empty", hint=hint)
    except ImageError as error:
        return [FailedSource(os.fspath(folder), error)]
    return [
        FileSource(os.fspath(path))
        for path in images
        if selected(path.relative_to(folder).as_posix(), options)
    ]
