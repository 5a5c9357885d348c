"""PNG files as chunks, of which only eXIf and the XMP text are changed."""

from __future__ import annotations

import struct
import zlib

from capgen.images.metadata import CREDENTIALS, Unwritable, put
from capgen.images.metadata.blocks import Blocks

MAGIC = b"\x89PNG\r\n\x1a\n"
_XMP = b"XML:com.adobe.xmp\0"
_LARGEST_PACKET = 1 << 22
_CREDENTIALS = b"caBX"
_DESCRIPTION = b"Description\0"  # a keyword of the PNG specification


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


def blocks(parts: list[bytes]) -> Blocks:
    """Return the metadata in the pieces of a PNG."""
    for is_same in (_is_exif, _is_xmp):
        if sum(map(is_same, parts[1:-1])) > 1:
            raise Unwritable("it has the same metadata twice")
    if any(_kind(part) == _CREDENTIALS for part in parts[1:-1]):
        raise Unwritable(CREDENTIALS)
    others = tuple(text for part in parts[1:-1] for text in _description(part))
    return Blocks(exif=_exif(parts), xmp=_packet(parts), others=others)


def with_blocks(parts: list[bytes], old: Blocks, new: Blocks) -> list[bytes]:
    """Return the pieces with new metadata instead of old."""
    if new.exif is not None and new.exif != old.exif:
        parts = put(parts, _chunk(b"eXIf", new.exif), _is_exif, _image_place(parts))
    if new.xmp is not None and new.xmp != old.xmp:
        chunk = _chunk(b"iTXt", _XMP + b"\0\0\0\0" + new.xmp)
        parts = put(parts, chunk, _is_xmp, _image_place(parts))
    return parts


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
    return None if content is None else _international(content[len(_XMP) :])


def _description(part: bytes) -> list[str]:
    """Return the description that a text chunk holds, if any."""
    content = part[8:-4]
    if not content.startswith(_DESCRIPTION):
        return []
    content = content[len(_DESCRIPTION) :]
    if _kind(part) == b"iTXt":
        return [_international(content).decode(errors="replace")]
    if _kind(part) == b"zTXt":
        content = _unpacked(content[1:])
    return [content.decode("latin-1")] if _kind(part) in (b"tEXt", b"zTXt") else []


def _international(content: bytes) -> bytes:
    """Return the text of an iTXt chunk, given what follows its keyword."""
    if len(content) < 2:
        raise Unwritable("its texts are damaged")
    parts = content[2:].split(b"\0", 2)  # language, translated keyword, text
    if len(parts) < 3:
        raise Unwritable("its texts are damaged")
    return _unpacked(parts[2]) if content[0] else parts[2]


def _unpacked(data: bytes) -> bytes:
    unpack = zlib.decompressobj()
    try:
        text = unpack.decompress(data, _LARGEST_PACKET)
    except zlib.error as error:
        raise Unwritable("its texts are damaged") from error
    if not unpack.eof:
        raise Unwritable("its texts are damaged or too large")
    return text


def _chunk(kind: bytes, data: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(kind + data))
    return struct.pack(">I", len(data)) + kind + data + check


def _image_place(parts: list[bytes]) -> int:
    return next((n for n, part in enumerate(parts[1:-1], 1) if _kind(part) == b"IDAT"), 2)
