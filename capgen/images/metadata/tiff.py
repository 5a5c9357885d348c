"""TIFF files: a new first directory at the end, all else where it was."""

from __future__ import annotations

from capgen.images.metadata import Unwritable, exif
from capgen.images.metadata.blocks import Blocks

_XMP = 700
_UNDEFINED = 7
_DNG_VERSION = 50706
# Programs for microscopes keep in the description how the file's images are to be read.
_STRUCTURES = ("ImageJ=", "<?xml", "<OME", '{"shape"', "SCANIMAGE", "Aperio ", "MetaMorph")


def pieces(data: bytes) -> list[bytes]:
    """Split a TIFF into its first bytes, the place of its first directory, and the rest.

    Raises:
        Unwritable: It is a camera raw file.
    """
    if exif.read_tag(data, _DNG_VERSION, (exif.BYTE,)) is not None or data[8:10] == b"CR":
        raise Unwritable("it is a camera raw file")
    return [data[:4], data[4:8], data[8:]]


def blocks(parts: list[bytes]) -> Blocks:
    """Return the metadata in the pieces of a TIFF: the file itself is laid out as EXIF is.

    Raises:
        Unwritable: It is damaged, or its description is there for programs.
    """
    data = b"".join(parts)
    if (exif.read_description(data) or "").lstrip().startswith(_STRUCTURES):
        raise Unwritable("its description says how the file is to be read")
    return Blocks(exif=data, xmp=exif.read_tag(data, _XMP, (exif.BYTE, _UNDEFINED)))


def with_blocks(parts: list[bytes], old: Blocks, new: Blocks) -> list[bytes]:
    """Return the pieces with new metadata instead of old, and behind them what was added.

    Raises:
        Unwritable: The file is damaged, or too large.
    """
    data = new.exif or b""
    if new.xmp is not None and new.xmp != old.xmp:
        data = exif.with_tags(data, {_XMP: (exif.BYTE, new.xmp)})
    end = sum(map(len, parts))
    return [data[:4], data[4:8], data[8:end], data[end:]]
