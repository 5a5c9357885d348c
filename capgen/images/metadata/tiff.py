"""TIFF files, which get a new first directory at the end; everything else stays in its place."""

from __future__ import annotations

from capgen.images.metadata import CREDENTIALS, Unwritable, exif, iptc
from capgen.images.metadata.blocks import Blocks

_XMP = 700
_IPTC, _PHOTOSHOP = 33723, 34377
_DNG_VERSION, _C2PA = 50706, 52545
# Microscopes' programs store in the description how to read the file.
_STRUCTURES = ("ImageJ=", "<?xml", "<OME", '{"shape"', "SCANIMAGE", "Aperio ", "MetaMorph")


def pieces(data: bytes) -> list[bytes]:
    """Split a TIFF into its first bytes, the offset of its first directory, and the rest."""
    if exif.read_tag(data, _DNG_VERSION) is not None or data[8:10] == b"CR":
        raise Unwritable("it is a camera raw file")
    return [data[:4], data[4:8], data[8:]]


def blocks(parts: list[bytes]) -> Blocks:
    """Return the metadata in the pieces of a TIFF, which has the structure of EXIF itself."""
    data = b"".join(parts)
    if (exif.read_description(data) or "").lstrip().startswith(_STRUCTURES):
        raise Unwritable("its description says how to read the file")
    if exif.read_tag(data, _C2PA) is not None:
        raise Unwritable(CREDENTIALS)
    records, resources = exif.read_tag(data, _IPTC), exif.read_tag(data, _PHOTOSHOP)
    captions = (iptc.caption_in(records), iptc.read_caption(resources))
    return Blocks(
        exif=data,
        xmp=exif.read_tag(data, _XMP),
        others=tuple(caption for caption in captions if caption is not None),
        other_keywords=(
            *iptc.values_in(records, iptc.KEYWORDS),
            *iptc.read_values(resources, iptc.KEYWORDS),
        ),
    )


def with_blocks(parts: list[bytes], old: Blocks, new: Blocks) -> list[bytes]:
    """Return the pieces with new metadata instead of old, and the added data as the last piece."""
    data = new.exif or b""
    if new.xmp is not None and new.xmp != old.xmp:
        data = exif.with_tags(data, {_XMP: (exif.BYTE, new.xmp)})
    end = sum(map(len, parts))
    return [data[:4], data[4:8], data[8:end], data[end:]]
