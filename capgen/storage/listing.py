"""The objects below an address, listed page by page or folder by folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from capgen.storage.attempts import attempt
from capgen.storage.drivers import open_store, scheme_of

_FLAT = ("s3", "s3a")


class Listed(NamedTuple):
    """An object below a folder.

    Attributes:
        name: Its path below the folder.
        size: Its bytes.
    """

    name: str
    size: int


def list_objects(
    folder: str,
    *,
    recursive: bool,
    stem: str = "",
    order: Callable[[PurePosixPath], Any] = str,
) -> Iterator[Listed]:
    """Yield what a folder in a store holds, as it is listed.

    S3 gives a thousand names at a time in the order of their bytes, so a bucket of any size takes
    little memory. Other drivers give whole folders: each is put in order by `order`, and what is in
    a subfolder comes where that has its place.

    Args:
        folder: The folder's address.
        recursive: Also what is in its subfolders.
        stem: What the names begin with.
        order: Key of a path.

    Raises:
        StoreError: It cannot be listed, or not to its end.
    """
    folder = folder.rstrip("/")
    if scheme_of(folder) in _FLAT:
        return _pages(folder, recursive, stem)
    return _folders(folder, recursive, stem, order)


def _pages(folder: str, recursive: bool, stem: str) -> Iterator[Listed]:
    store, path = open_store(folder)
    bucket, _, key = path.partition("/")
    prefix = f"{key}/" if key else ""
    asked = {"Bucket": bucket, "Prefix": prefix + stem, **({} if recursive else {"Delimiter": "/"})}
    while True:
        page = attempt(folder, lambda: store.call_s3("list_objects_v2", **asked))
        for found in page.get("Contents", ()):
            name = found["Key"][len(prefix) :]
            if name and not name.endswith("/"):  # consoles make such objects for folders
                yield Listed(name, int(found["Size"]))
        if not page.get("IsTruncated"):
            return
        asked["ContinuationToken"] = page["NextContinuationToken"]


def _folders(
    folder: str, recursive: bool, stem: str, order: Callable[[PurePosixPath], Any]
) -> Iterator[Listed]:
    store, root = open_store(folder)

    def listed(below: str) -> Iterator[Listed]:
        place = f"{root}/{below}".rstrip("/")
        entries = attempt(folder, lambda: store.ls(place, detail=True))
        named = [(entry["name"].rstrip("/").rsplit("/", 1)[-1], entry) for entry in entries]
        for name, entry in sorted(named, key=lambda each: order(PurePosixPath(each[0]))):
            path = below + name
            # An empty object may stand for the folder itself.
            if not name or not path.startswith(stem[: len(path)]) or entry["name"] == place:
                continue
            if entry["type"] == "file":
                if path.startswith(stem):
                    yield Listed(path, int(entry.get("size") or 0))
            elif recursive:
                yield from listed(f"{path}/")

    return listed("")
