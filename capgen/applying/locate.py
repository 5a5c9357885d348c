"""The files of records' images, and whether they are still what was captioned."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from capgen.addresses import is_stored, is_url
from capgen.digests import file_digest
from capgen.errors import StorageError
from capgen.images.decoders import printable
from capgen.records import Record, Unwritten
from capgen.reviews.places import ImagePlaces


class Located(NamedTuple):
    """Where an image is.

    Attributes:
        file: Its file, or None.
        problem: Why nothing may be written for it, or None.
    """

    file: Path | None
    problem: Unwritten | None = None


class Locator:
    """Finds the files of images.

    Args:
        folder: Where relative paths start, if not in the present folder.
        originals: Hashes of files that capgen wrote into → the hash that each had before.
    """

    def __init__(self, folder: Path, originals: Mapping[str, str]) -> None:
        self._places = ImagePlaces((Path(), folder))
        self._originals = originals
        self._found: dict[tuple[str | None, str | None], Path | None] = {}

    def file(self, record: Record) -> Path | None:
        """Return the file that a record's path leads to, whatever is in it."""
        key = record.path, record.sha256
        if key not in self._found:
            self._found[key] = self._find(*key)
        return self._found[key]

    def locate(self, record: Record) -> Located:
        """Return the file of a record's image, if it is the one that was captioned."""
        file = self.file(record)
        if file is None:
            return Located(None, _missing(record.path or ""))
        try:
            if self._is_unchanged(file, record.sha256):
                return Located(file)
        except StorageError as error:
            return Located(None, Unwritten(code="unreadable", message=printable(error.message)))
        return Located(
            None,
            Unwritten(
                code="changed",
                message=f"{printable(file)}: changed since it was captioned",
                hint="Caption it again. If capgen wrote into it, --undo-file names the undo file.",
            ),
        )

    def _find(self, name: str | None, sha256: str | None) -> Path | None:
        found = list(self._places.files(name))
        if len(found) > 1:  # the bytes tell which of two it is
            found.sort(key=lambda file: not self._is_unchanged(file, sha256))
        return found[0] if found else None

    def _is_unchanged(self, file: Path, sha256: str | None) -> bool:
        if sha256 is None:
            return True
        digest = file_digest(file, StorageError)
        return sha256 in (digest, self._originals.get(digest))


def _missing(name: str) -> Unwritten:
    label = printable(name) or "''"
    if is_url(name) or is_stored(name):
        reason = "an address, not a file"
    elif any(_is_file(parent) for parent in Path(name).parents):
        reason = "in an archive, not a file"
    else:
        return Unwritten(
            code="missing",
            message=f"{label}: no such file",
            hint="Run this where the images were captioned, or keep the records beside them.",
        )
    hint = "-o FILE writes captions of images that are not files."
    return Unwritten(code="not_a_file", message=f"{label}: {reason}", hint=hint)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False
