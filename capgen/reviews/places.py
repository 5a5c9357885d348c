"""Where the images of records are."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path, PureWindowsPath

from capgen.addresses import is_stored, is_url


class ImagePlaces:
    """Finds the files that records name.

    A relative path is looked up in each folder in turn: `capgen caption` writes paths relative to
    where it runs, and records are often moved together with their images.

    Args:
        folders: The folders, in the order of preference.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        unique: dict[Path, Path] = {}  # as they were given, for messages
        for folder in folders:
            unique.setdefault(folder.absolute(), folder)
        self._folders = tuple(unique.values())

    def find(self, path: str | None) -> Path | None:
        """Return the file that a record names, or None if there is none."""
        return next(self.files(path), None)

    def files(self, path: str | None) -> Iterator[Path]:
        """Yield all files that a record may name, the likeliest first."""
        for place in self._candidates(path):
            with suppress(OSError, ValueError):
                if place.is_file():
                    yield place

    def missing(self, paths: Iterable[str | None]) -> list[bool]:
        """Return for each path whether its file is missing.

        Each folder is listed once, which is faster than asking for each file, above all on a
        network drive. Only what is not in a listing is asked for: names may differ in case.
        """
        listed: dict[Path, frozenset[str]] = {}

        def is_listed(place: Path) -> bool:
            if place.parent not in listed:
                listed[place.parent] = _names(place.parent)
            return place.name in listed[place.parent]

        return [
            not any(is_listed(place) for place in self._candidates(path))
            and self.find(path) is None
            for path in paths
        ]

    def _candidates(self, path: str | None) -> list[Path]:
        if not path or is_url(path) or is_stored(path):
            return []
        names = dict.fromkeys((path, path.strip()))
        if "\\" in path:  # written on Windows
            names[PureWindowsPath(path).as_posix()] = None
        places = (folder / name for name in names if name for folder in self._folders)
        return list(dict.fromkeys(places))


def _names(folder: Path) -> frozenset[str]:
    """Return the names of the files in a folder; none if it cannot be listed."""
    names: list[str] = []
    with suppress(OSError, ValueError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(OSError):
                names += [entry.name] if entry.is_file() else []
    return frozenset(names)
