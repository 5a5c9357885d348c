"""Writing captions into JPEG, PNG and WebP files, as EXIF, IPTC and XMP, without new pixels."""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType

from capgen.errors import DiskFullError, StorageError
from capgen.images.metadata import Unwritable, jpeg, png, webp
from capgen.paths import replace_file, storage_errors
from capgen.undo import UndoFile


class MetadataWriter:
    """Writes captions into images.

    Args:
        undo: Where to write down how to take each change back.
        dry_run: Change nothing; count what would be changed.
    """

    def __init__(self, undo: UndoFile, *, dry_run: bool = False) -> None:
        self.undo = undo
        self.dry_run = dry_run
        self.changed = 0

    def write(self, image: Path, text: str) -> str:
        """Write a caption into an image, unless it is there already.

        Returns:
            Why nothing was written, or an empty string.

        Raises:
            StorageError: The undo file cannot be written, or no space is left.
        """
        try:
            data = _read(image)
            module = _module(data)
            old = module.pieces(data)
            if all(found == text for found in module.read(old)):
                return ""
            new = module.write(old, text)
        except Unwritable as error:
            return f"no caption written into {image}: {error}"
        except StorageError as error:
            return error.message
        if not self.dry_run:
            self.undo.record(image, old, new)
            try:
                replace_file(image, b"".join(new), over_image=True)
            except DiskFullError:
                raise
            except StorageError as error:
                return error.message
        self.changed += 1
        return ""


def read_captions(data: bytes) -> list[str | None]:
    """Return the captions in an image's EXIF, XMP and (JPEG only) IPTC.

    Raises:
        Unwritable: It is of another format, or damaged.
    """
    module = _module(data)
    found: list[str | None] = module.read(module.pieces(data))
    return found


def _read(image: Path) -> bytes:
    """Return the bytes of an image whose folder can be written.

    Raises:
        Unwritable: It is not a regular file.
        StorageError: It cannot be read or replaced.
    """
    with storage_errors(image):
        if not image.is_file():
            raise Unwritable("it is not a regular file, or not there any more")
        if not os.access(os.path.dirname(os.path.realpath(image)), os.W_OK):  # noqa: PTH120
            raise StorageError(f"Not allowed to write {image}")
        return image.read_bytes()


def _module(data: bytes) -> ModuleType:
    if data.startswith(b"\xff\xd8\xff"):
        return jpeg
    if data.startswith(png.MAGIC):
        return png
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP" and len(data) >= 20:
        return webp
    raise Unwritable("captions are written into JPEG, PNG and WebP files only")
