"""WebP files as chunks, of which only EXIF and XMP at the end are changed."""

from __future__ import annotations

import struct

from capgen.images.metadata import Unwritable, exif, put, xmp

_EXIF_FLAG, _XMP_FLAG, _ALPHA_FLAG = 0x08, 0x04, 0x10
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


def read(parts: list[bytes]) -> list[str | None]:
    """Return the captions in EXIF and XMP, each None if there is none."""
    _, block = _exif(parts)
    return [exif.read_description(block), xmp.read_description(_content(parts, b"XMP "))]


def write(parts: list[bytes], text: str) -> list[bytes]:
    """Return the pieces with the caption in EXIF and XMP.

    Metadata that the header does not name is refused: readers ignore it until the header names
    metadata, and would then rotate the image or find two images.
    """
    if not _header_names_all(parts):
        raise Unwritable("its header does not name all of its chunks")
    prefix, block = _exif(parts)
    parts = _put(parts, b"EXIF", prefix + exif.with_description(block, text))
    packet = xmp.with_description(_content(parts, b"XMP "), text)
    parts = _put(parts, b"XMP ", packet)
    body = [_extended(parts), *(part for part in parts[1:-1] if part[:4] != b"VP8X")]
    size = 4 + sum(map(len, body))
    return [b"RIFF" + struct.pack("<I", size) + b"WEBP", *body, parts[-1]]


def _header_names_all(parts: list[bytes]) -> bool:
    kinds = [part[:4] for part in parts[1:-1]]
    if kinds[:1] != [b"VP8X"]:
        return len(kinds) == 1
    flags = (_content(parts, b"VP8X") or b"\0")[0]
    metadata = {b"EXIF": _EXIF_FLAG, b"XMP ": _XMP_FLAG}
    return all(flags & flag or kind not in kinds for kind, flag in metadata.items())


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
    content = _content(parts, b"VP8X")
    if content is not None:
        if len(content) < 10:
            raise Unwritable("its header is damaged")
        return _chunk(b"VP8X", bytes([content[0] | _EXIF_FLAG | _XMP_FLAG]) + content[1:])
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
    flags = _EXIF_FLAG | _XMP_FLAG | alpha
    sizes = width.to_bytes(3, "little") + height.to_bytes(3, "little")
    return _chunk(b"VP8X", bytes([flags, 0, 0, 0]) + sizes)
