"""Which module reads and writes the metadata of a file, by its first bytes."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from capgen.images.metadata import Unwritable, jpeg, png, tiff, webp

_TIFF_MAGIC = (b"II*\0", b"MM\0*")
_BIG_TIFF_MAGIC = (b"II+\0", b"MM\0+")
_TIFF_SUFFIXES = (".tif", ".tiff")


def module_for(data: bytes, path: Path | None = None) -> ModuleType:
    """Return the module for the format of a file; raise Unwritable if there is none."""
    if data.startswith(b"\xff\xd8\xff"):
        return jpeg
    if data.startswith(png.MAGIC):
        return png
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP" and len(data) >= 20:
        return webp
    if data[:4] in _TIFF_MAGIC and (path is None or path.suffix.lower() in _TIFF_SUFFIXES):
        return tiff
    if data[:4] in _BIG_TIFF_MAGIC:
        raise Unwritable("it is a BigTIFF file")
    raise Unwritable("captions are written into JPEG, PNG, WebP and TIFF files only")
