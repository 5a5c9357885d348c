"""Images in stores: the folders and patterns that a command line names."""

from __future__ import annotations

import glob
import re
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath

from capgen.addresses import without_credentials
from capgen.captioning.batch.sources import FailedSource, Source, StoredSource
from capgen.errors import ImageError, UsageError
from capgen.file_types import has_image_suffix
from capgen.images.decoders import printable
from capgen.images.folders import is_seen_member, is_shard, natural_key
from capgen.storage.attempts import StoreError
from capgen.storage.listing import Listed, list_objects
from capgen.storage.reading import is_object, object_size
from capgen.tables.rows import is_parquet


def is_file(address: str) -> bool:
    """Whether an address without a telling suffix is of an object, not of a folder."""
    return not address.endswith("/") and address.count("/") > 2 and is_object(address)


def images_below(
    folder: str, *, recursive: bool, wanted: Callable[[str], bool]
) -> Iterator[Source]:
    """Yield the images of a folder in a store, as they are listed (see `list_objects`).

    Hidden names and folders of rubbish are left out as in `capgen.images.folders`.

    Args:
        folder: Its address.
        recursive: Whether to take those of its subfolders.
        wanted: Whether to take the image of that name, below the folder.

    Raises:
        StoreError: The list breaks off: images that follow would be missed.
    """
    folder = folder.rstrip("/")
    shown = printable(without_credentials(folder))
    found, any_object = False, False
    try:
        for listed in list_objects(folder, recursive=recursive, order=natural_key):
            any_object = True
            if has_image_suffix(listed.name) and is_seen_member(listed.name):
                found = True
                if wanted(listed.name):
                    yield StoredSource.at(f"{folder}/{listed.name}", listed.size)
    except StoreError as error:
        if any_object or error.fault not in ("missing", "permission"):
            raise
        yield FailedSource(without_credentials(folder), ImageError(error.message, code=error.fault))
        return
    if not found:
        text = f"{shown}: no images in this folder" if any_object else f"{shown}: no such folder"
        hint = "" if recursive else "Use --recursive to include subfolders."
        fault = ImageError(text, code="empty" if any_object else "missing", hint=hint)
        yield FailedSource(without_credentials(folder), fault)


def matches_of(pattern: str) -> Iterator[tuple[str, int]]:
    """Yield the address and size of the images, archives and tables that a pattern matches.

    `*` and `?` match within one part of a path, `**` any number of parts, and a hidden name only a
    pattern that says so.

    Args:
        pattern: An address with wildcards.

    Raises:
        UsageError: The wildcards are in the name of the bucket.
        StoreError: The list breaks off.
    """
    found = re.search(r"[*?\[]", pattern)
    start = len(pattern) if found is None else found.start()
    folder, _, stem = pattern[:start].rpartition("/")
    rest = pattern[len(folder) + 1 :]
    if not re.match(r"\w+://[^/]", folder):
        raise UsageError(f"{pattern}: name the bucket without wildcards")
    deep = "/" in rest or "**" in rest
    match = re.compile(_expression(rest)).fullmatch
    for listed in list_objects(folder, recursive=deep, stem=stem, order=natural_key):
        if _holds_images(listed.name) and match(listed.name) and _is_meant(listed, rest):
            yield f"{folder}/{listed.name}", listed.size


def no_match(pattern: str) -> Source:
    """Return what a pattern stands for that matches nothing: an object of that name, or none."""
    if glob.has_magic(pattern) and is_object(pattern):
        return StoredSource.at(pattern, object_size(pattern))
    name = without_credentials(pattern)
    return FailedSource(name, ImageError(f"{printable(name)}: no such file", code="missing"))


def _holds_images(name: str) -> bool:
    return has_image_suffix(name) or is_shard(PurePosixPath(name)) or is_parquet(name)


def _is_meant(listed: Listed, pattern: str) -> bool:
    return is_seen_member(listed.name) or "/." in f"/{pattern}"


def _expression(pattern: str) -> str:
    """Return a pattern of paths as a regular expression."""
    pieces = {"**/": "(?:[^/]+/)*", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = re.split(r"(\*\*/|\*\*|\*|\?|\[[^/\]]+\])", pattern)
    return "".join(pieces.get(part) or _set(part) for part in parts)


def _set(part: str) -> str:
    if not (part.startswith("[") and part.endswith("]")):
        return re.escape(part)
    inside = part[1:-1].replace("\\", "\\\\").replace("[", "\\[")
    return f"[^/{inside[1:]}]" if inside.startswith("!") else f"[{inside}]"
