"""What may be copied from a data set of unknown origin: its own images and captions only.

A table or a symbolic link may name any file on the machine.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from capgen.data.formats.reading import Entry
from capgen.data.problems import Problem, Report
from capgen.file_types import sniff

_HEAD_BYTES = 1024


class Confinement:
    """The folders that images and captions must come from once links are followed.

    Args:
        folders: Folders and files that the user named, and those that capgen extracted.
        images_anywhere: Images may come from elsewhere, since they stay there.
    """

    def __init__(self, folders: Iterable[Path], *, images_anywhere: bool = False) -> None:
        own = {folder.resolve() for folder in folders}
        self._folders = own | {blobs for folder in own if (blobs := _hub_blobs(folder))}
        self._images_anywhere = images_anywhere
        self._holds_captions = functools.cache(self.holds)
        self._real = functools.cache(Path.resolve)

    def allowed(self, entry: Entry, report: Report) -> Entry | None:
        """Return the part of an entry that may be copied, or None, and report the rest.

        A missing image is not reported.
        """
        if entry.has_image:
            if not self._images_anywhere and not self.holds(entry.image):
                message = f"{entry.image} is outside the data folder"
                report(entry.problem("image_outside", message))
                return None
            fault = _content_fault(entry.image)
            if fault:
                report(entry.problem(*fault))
                return None
        kept = [index for index, (file, _) in enumerate(entry.lines) if self._holds_captions(file)]
        if len(kept) == len(entry.lines):
            return entry
        outside = next(file for file, _ in entry.lines if not self._holds_captions(file))
        message = f"{outside} is outside the data folder"
        report(Problem(code="caption_outside", message=message, image_id=entry.image_id))
        return replace(
            entry,
            captions=tuple(entry.captions[index] for index in kept),
            lines=tuple(entry.lines[index] for index in kept),
        )

    def holds(self, path: Path) -> bool:
        """Whether a file lies in one of the folders once links are followed."""
        link = os.path.islink(path) or path.name == ".."  # noqa: PTH114 (raises for odd names)
        try:
            target = path.resolve() if link else self._real(path.parent) / path.name
        except (OSError, ValueError):
            return False
        return any(target.is_relative_to(folder) for folder in self._folders)


def _hub_blobs(folder: Path) -> Path | None:
    """Return the folder that a Hub snapshot's links point to.

    `REPOSITORY/snapshots/REVISION/…` links to `REPOSITORY/blobs/HASH`.
    """
    for place in (folder, *folder.parents):
        if place.parent.name == "snapshots":
            blobs = place.parent.parent / "blobs"
            return blobs if blobs.is_dir() and blobs.resolve() == blobs else None
    return None


def _content_fault(path: Path) -> tuple[str, str] | None:
    """Return code and message of a problem if a file's first bytes are not an image's."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError as error:
        return "image_unreadable", f"cannot read {path}: {error.strerror}"
    if not head:
        return "image_empty", f"{path} is empty"
    sniffed = sniff(head)
    if sniffed.image:
        return None
    return "image_not_an_image", f"{path} is {sniffed.description}, not an image"
