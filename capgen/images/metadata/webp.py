"""WebP files as chunks: EXIF and XMP at their end, the image's own untouched."""

from __future__ import annotations

import struct

from capgen.images.metadata import Unwritable, exif, xmp

_EXIF_FLAG, _XMP_FLAG, _ALPHA_FLAG = 0x08, 0x04, 0x10


def pieces(data: bytes) -> list[bytes]:
    """Split a WebP into its RIFF header, its chunks, and whatever follows them.

    Raises:
        Unwritable: The chunks are damaged.
    """
    (size,) = struct.unpack_from("<I", data, 4)
    last = 8 + size
    if last > len(data) or last < 20:
        raise Unwritable("its chunks are damaged")
    found, place = [data[:12]], 12
    while place < last:
        if place + 8 > last:
            raise Unwritable("its chunks are damaged")
        (length,) = struct.unpack_from("<I", data, place + 4)
        end = place + 8 + length + length % 2
        if end > last:
            raise Unwritable("its chunks are damaged")
        found.append(data[place:end])
        place = end
    return [*found, data[last:]]


def read(parts: list[bytes]) -> list[str | None]:
    """Return the captions in EXIF and XMP, each None where there is none."""
    block, packet = _content(parts, b"EXIF"), _content(parts, b"XMP ")
    return [
        None if block is None else exif.read_description(block.removeprefix(b"Exif\0\0")),
        None if packet is None else xmp.read_description(packet),
    ]


def write(parts: list[bytes], text: str) -> list[bytes]:
    """Return the pieces with the caption in EXIF and XMP.

    Raises:
        Unwritable: Existing metadata is damaged, or is passed over until now: readers would
            turn the image, or find two images, once the header names metadata.
    """
    if not _header_names_all(parts):
        raise Unwritable("its header does not name all that is in it")
    block = _content(parts, b"EXIF")
    prefix = b"Exif\0\0" if block is not None and block.startswith(b"Exif\0\0") else b""
    old = None if block is None else block.removeprefix(b"Exif\0\0")
    parts = _put(parts, b"EXIF", prefix + exif.with_description(old, text))
    packet = xmp.with_description(_content(parts, b"XMP "), text)
    parts = _put(parts, b"XMP ", packet)
    header = _extended(parts)
    body = [header, *(part for part in parts[1:-1] if part[:4] != b"VP8X")]
    size = 4 + sum(map(len, body))
    return [b"RIFF" + struct.pack("<I", size) + b"WEBP", *body, parts[-1]]


def _header_names_all(parts: list[bytes]) -> bool:
    kinds = [part[:4] for part in parts[1:-1]]
    if kinds[:1] != [b"VP8X"]:
        return len(kinds) == 1
    flags = (_content(parts, b"VP8X") or b"\0")[0]
    metadata = {b"EXIF": _EXIF_FLAG, b"XMP ": _XMP_FLAG}
    return all(flags & flag or kind not in kinds for kind, flag in metadata.items())


def _content(parts: list[bytes], kind: bytes) -> bytes | None:
    for part in parts[1:-1]:
        if part[:4] == kind:
            (length,) = struct.unpack_from("<I", part, 4)
            return part[8 : 8 + length]
    return None


def _chunk(kind: bytes, data: bytes) -> bytes:
    return kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def _put(parts: list[bytes], kind: bytes, data: bytes) -> list[bytes]:
    chunk = _chunk(kind, data)
    for place, part in enumerate(parts[1:-1], 1):
        if part[:4] == kind:
            return [*parts[:place], chunk, *parts[place + 1 :]]
    # EXIF goes before XMP, both behind the image.
    place = len(parts) - 1
    if kind == b"EXIF" and parts[place - 1][:4] == b"XMP ":
        place -= 1
    return [*parts[:place], chunk, *parts[place:]]


def _extended(parts: list[bytes]) -> bytes:
    """Return the VP8X chunk with the flags of EXIF and XMP, made anew for simple files.

    Raises:
        Unwritable: The header is damaged.
    """
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
