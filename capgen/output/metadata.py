"""Writing captions into JPEG, PNG and WebP files, as EXIF, IPTC and XMP, without new pixels."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from capgen.errors import StorageError
from capgen.output.embed import Unwritable, jpeg, png, webp
from capgen.output.undo import UndoFile, replace_file


class MetadataWriter:
    """Writes captions into pictures.

    Args:
        undo: Where to write down how to take each change back.
        dry_run: Change nothing; count what would be changed.
    """

    def __init__(self, undo: UndoFile, *, dry_run: bool = False) -> None:
        self.undo = undo
        self.dry_run = dry_run
        self.changed = 0

    def write(self, picture: Path, text: str) -> str:
        """Write a caption into a picture, unless it is there already.

        Returns:
            Why nothing was written, or an empty string.

        Raises:
            StorageError: The picture or the undo file cannot be written.
        """
        try:
            data = picture.read_bytes()
            module = _module(data)
            old = module.pieces(data)
            if all(found == text for found in module.read(old)):
                return ""
            new = module.write(old, text)
        except Unwritable as error:
            return f"no caption written into {picture}: {error}"
        except OSError as error:
            raise StorageError(f"Cannot read {picture}: {error.strerror}") from error
        self.changed += 1
        if not self.dry_run:
            self.undo.record(picture, old, new)
            replace_file(picture, b"".join(new))
        return ""


def read_captions(data: bytes) -> list[str | None]:
    """Return the captions in a picture's EXIF, XMP and (JPEG only) IPTC.

    Raises:
        Unwritable: It is of another format, or damaged.
    """
    module = _module(data)
    found: list[str | None] = module.read(module.pieces(data))
    return found


def _module(data: bytes) -> ModuleType:
    if data.startswith(b"\xff\xd8\xff"):
        return jpeg
    if data.startswith(png.MAGIC):
        return png
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP" and len(data) >= 20:
        return webp
    raise Unwritable("captions are written into JPEG, PNG and WebP files only")
