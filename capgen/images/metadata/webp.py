"""WebP files as chunks, of which only EXIF and XMP at the end are changed."""

from __future__ import annotations

import struct

from capgen.images.metadata import CREDENTIALS, Unwritable, put
from capgen.images.metadata.blocks import Blocks

_EXIF_FLAG, _XMP_FLAG, _ALPHA_FLAG, _ANIMATION_FLAG = 0x08, 0x04, 0x10, 0x02
_EXIF_PREFIX = b"Exif\0\0"


def pieces(data: bytes) -> list[bytes]:
    """Split a WebP into its RIFF header, its chunks, and whatever follows them."""
    last = 8 + int.from_bytes(data[4:8], "little")
    if last > len(data) or last < 20:
        raise Unwritable("its chunks are damaged")
    parts, place = [data[:12]], 12
    while place < last:
        length = int.from_bytes(data[place + 4 : place + 8], "little")
        end = place + 8 + length + length % 2
        if end > last:
            raise Unwritable("its chunks are damaged")
        parts.append(data[place:end])
        place = end
    return [*parts, data[last:]]


def blocks(parts: list[bytes]) -> Blocks:
    """Return the metadata in the pieces of a WebP.

    Chunks that the header does not name are refused: readers ignore them until the header names
    metadata, and would then rotate the image or find two images.
    """
    _check_header(parts)
    if any(part[:4] == b"C2PA" for part in parts[1:-1]):
        raise Unwritable(CREDENTIALS)
    return Blocks(exif=_exif(parts)[1], xmp=_content(parts, b"XMP "))


def with_blocks(parts: list[bytes], old: Blocks, new: Blocks) -> list[bytes]:
    """Return the pieces with new metadata instead of old."""
    if new.exif is not None and new.exif != old.exif:
        parts = _put(parts, b"EXIF", _exif(parts)[0] + new.exif)
    if new.xmp is not None and new.xmp != old.xmp:
        parts = _put(parts, b"XMP ", new.xmp)
    body = [_extended(parts), *(part for part in parts[1:-1] if part[:4] != b"VP8X")]
    size = 4 + sum(map(len, body))
    return [b"RIFF" + struct.pack("<I", size) + b"WEBP", *body, parts[-1]]


def _check_header(parts: list[bytes]) -> None:
    """Check that the file has one header, one image, and only metadata that the header names."""
    kinds = [part[:4] for part in parts[1:-1]]
    if kinds[:1] != [b"VP8X"]:
        if len(kinds) != 1:
            raise Unwritable("its header does not name all of its chunks")
        return
    flags = (_content(parts, b"VP8X") or b"\0")[0]
    images = sum(kind in (b"VP8 ", b"VP8L") for kind in kinds)
    if kinds.count(b"VP8X") > 1 or images != (0 if flags & _ANIMATION_FLAG else 1):
        raise Unwritable("it has several headers or images")
    for kind, flag in ((b"EXIF", _EXIF_FLAG), (b"XMP ", _XMP_FLAG)):
        if kind in kinds and not flags & flag:
            raise Unwritable("its header does not name all of its chunks")
        if kinds.count(kind) > 1:
            raise Unwritable("it has the same metadata twice")


def _exif(parts: list[bytes]) -> tuple[bytes, bytes | None]:
    """Return the prefix that some writers put before the EXIF block, and the block."""
    block = _content(parts, b"EXIF")
    if block is not None and block.startswith(_EXIF_PREFIX):
        return _EXIF_PREFIX, block.removeprefix(_EXIF_PREFIX)
    return b"", block


def _content(parts: list[bytes], kind: bytes) -> bytes | None:
    for part in parts[1:-1]:
        if part[:4] == kind:
            (length,) = struct.unpack_from("<I", part, 4)
            return part[8 : 8 + length]
    return None


def _chunk(kind: bytes, data: bytes) -> bytes:
    return kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def _put(parts: list[bytes], kind: bytes, data: bytes) -> list[bytes]:
    place = len(parts) - 1  # after the image, and EXIF before XMP
    if kind == b"EXIF" and parts[place - 1][:4] == b"XMP ":
        place -= 1
    return put(parts, _chunk(kind, data), lambda part: part[:4] == kind, place)


def _extended(parts: list[bytes]) -> bytes:
    """Return the VP8X chunk with the flags of EXIF and XMP; simple files get a new one."""
    kinds = [part[:4] for part in parts[1:-1]]
    flags = (_EXIF_FLAG if b"EXIF" in kinds else 0) | (_XMP_FLAG if b"XMP " in kinds else 0)
    content = _content(parts, b"VP8X")
    if content is not None:
        if len(content) < 10:
            raise Unwritable("its header is damaged")
        return _chunk(b"VP8X", bytes([content[0] | flags]) + content[1:])
    first = parts[1]
    if first[:4] == b"VP8L" and len(first) >= 13:
        bits = int.from_bytes(first[9:13], "little")
        width, height = bits & 0x3FFF, bits >> 14 & 0x3FFF
        alpha = _ALPHA_FLAG if bits >> 28 & 1 else 0
    elif first[:4] == b"VP8 " and len(first) >= 18:
        width, height = (value - 1 for value in struct.unpack_from("<HH", first, 14))
        width, height = width & 0x3FFF, height & 0x3FFF
        alpha = 0
    else:
        raise Unwritable("its header is damaged")
    flags |= alpha
    sizes = width.to_bytes(3, "little") + height.to_bytes(3, "little")
    return _chunk(b"VP8X", bytes([flags, 0, 0, 0]) + sizes)
