"""PNG files as chunks, of which only eXIf and the XMP text are changed."""

from __future__ import annotations

import struct
import zlib

from capgen.images.metadata import Unwritable, exif, put, xmp

MAGIC = b"\x89PNG\r\n\x1a\n"
_XMP = b"XML:com.adobe.xmp\0"
_LARGEST_PACKET = 1 << 22


def pieces(data: bytes) -> list[bytes]:
    """Split a PNG into its magic bytes, its chunks, and whatever follows them."""
    parts, place = [data[:8]], 8
    while place < len(data):
        end = place + 12 + int.from_bytes(data[place : place + 4], "big")
        if end > len(data):
            raise Unwritable("its chunks are damaged")
        parts.append(data[place:end])
        place = end
        if _kind(parts[-1]) == b"IEND":
            return [*parts, data[place:]]
    raise Unwritable("its end is missing")


def read(parts: list[bytes]) -> list[str | None]:
    """Return the captions in EXIF and XMP, each None if there is none."""
    return [exif.read_description(_exif(parts)), xmp.read_description(_packet(parts))]


def write(parts: list[bytes], text: str) -> list[bytes]:
    """Return the pieces with the caption in EXIF and XMP."""
    block = exif.with_description(_exif(parts), text)
    packet = xmp.with_description(_packet(parts), text)
    parts = put(parts, _chunk(b"eXIf", block), _is_exif, _image_place(parts))
    chunk = _chunk(b"iTXt", _XMP + b"\0\0\0\0" + packet)
    return put(parts, chunk, _is_xmp, _image_place(parts))


def _kind(chunk: bytes) -> bytes:
    return chunk[4:8]


def _is_exif(chunk: bytes) -> bool:
    return _kind(chunk) == b"eXIf"


def _is_xmp(chunk: bytes) -> bool:
    return _kind(chunk) == b"iTXt" and chunk[8:].startswith(_XMP)


def _exif(parts: list[bytes]) -> bytes | None:
    return next((part[8:-4] for part in parts[1:-1] if _is_exif(part)), None)


def _packet(parts: list[bytes]) -> bytes | None:
    content = next((part[8:-4] for part in parts[1:-1] if _is_xmp(part)), None)
    if content is None:
        return None
    if len(content) < len(_XMP) + 2:
        raise Unwritable("its XMP data is damaged")
    compressed, _, rest = content[len(_XMP)], content[len(_XMP) + 1], content[len(_XMP) + 2 :]
    try:
        _language, _keyword, packet = rest.split(b"\0", 2)
        if compressed:
            unpack = zlib.decompressobj()
            packet = unpack.decompress(packet, _LARGEST_PACKET)
            if not unpack.eof:
                raise Unwritable("its XMP data is damaged or too large")
    except (ValueError, zlib.error) as error:
        raise Unwritable("its XMP data is damaged") from error
    return packet


def _chunk(kind: bytes, data: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(kind + data))
    return struct.pack(">I", len(data)) + kind + data + check


def _image_place(parts: list[bytes]) -> int:
    return next((n for n, part in enumerate(parts[1:-1], 1) if _kind(part) == b"IDAT"), 2)
