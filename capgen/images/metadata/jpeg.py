"""JPEG files as segments, of which only those with metadata are changed."""

from __future__ import annotations

import struct

from capgen.images.metadata import CREDENTIALS, Unwritable, mpf, put, xmp
from capgen.images.metadata.blocks import Blocks

_EXIF = b"Exif\0\0"
_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_PHOTOSHOP = b"Photoshop 3.0\0"
# The part of a packet that one segment cannot hold (XMP part 3, 1.1.3.1).
_EXTENSION = b"http://ns.adobe.com/xmp/extension/\0"
_DIGEST, _PLACE = 32, 40
_APP0, _APP11 = 0xE0, 0xEB
_MARKERS = {_EXIF: 0xE1, _XMP: 0xE1, _PHOTOSHOP: 0xED}
_LARGEST = 65533


def pieces(data: bytes) -> list[bytes]:
    """Split a JPEG into its first two bytes, its segments, and the rest from the scan on."""
    parts, place = [data[:2]], 2
    while True:
        if data[place : place + 1] != b"\xff" or place + 4 > len(data):
            raise Unwritable("its segments are damaged")
        marker = data[place + 1]
        if marker == 0xDA:
            return [*parts, data[place:]]
        (size,) = struct.unpack_from(">H", data, place + 2)
        end = place + 2 + size
        if size < 2 or end > len(data) or marker in (0xFF, 0x00, 0x01) or 0xD0 <= marker <= 0xD9:
            raise Unwritable("its segments are damaged")
        parts.append(data[place:end])
        place = end


def blocks(parts: list[bytes]) -> Blocks:
    """Return the metadata in the pieces of a JPEG."""
    if any(part[1] == _APP11 and b"jumb" in part and b"c2pa" in part for part in parts[1:-1]):
        raise Unwritable(CREDENTIALS)
    extended = _extended(parts)
    if any(xmp.read_texts(extended, what) for what in (xmp.DESCRIPTION, xmp.ALT_TEXT)):
        raise Unwritable("its description is spread over several segments")
    return Blocks(
        exif=_content(parts, _EXIF),
        xmp=_content(parts, _XMP),
        iptc=_content(parts, _PHOTOSHOP) or b"",
        extended=extended,
    )


def with_blocks(parts: list[bytes], old: Blocks, new: Blocks) -> list[bytes]:
    """Return the pieces with new metadata instead of old."""
    changed = parts
    if new.exif is not None and new.exif != old.exif:
        changed = _put(changed, _EXIF, new.exif)
    if new.xmp is not None and new.xmp != old.xmp:
        packet = new.xmp
        if 2 + len(_XMP) + len(packet) > _LARGEST:
            packet = xmp.without_padding(packet)
        changed = _put(changed, _XMP, packet)
    if new.iptc and new.iptc != old.iptc:
        changed = _put(changed, _PHOTOSHOP, new.iptc)
    return mpf.moved(parts, changed)


def _is(part: bytes, name: bytes) -> bool:
    return part[1] == _MARKERS[name] and part.startswith(name, 4)


def _content(parts: list[bytes], name: bytes) -> bytes | None:
    contents = [part[4 + len(name) :] for part in parts[1:-1] if _is(part, name)]
    if len(contents) > 1:
        raise Unwritable("its metadata is spread over several segments")
    return contents[0] if contents else None


def _extended(parts: list[bytes]) -> bytes | None:
    """Return the extended XMP packet that the main one names, if it has one."""
    start = 4 + len(_EXTENSION)
    content = _content(parts, _XMP) or b""
    found = [
        part[start:] for part in parts[1:-1] if part[1] == 0xE1 and part.startswith(_EXTENSION, 4)
    ]
    named = [piece for piece in found if piece[:_DIGEST] in content]
    named.sort(key=lambda piece: piece[_DIGEST + 4 : _PLACE])
    return b"".join(piece[_PLACE:] for piece in named) or None


def _put(parts: list[bytes], name: bytes, content: bytes) -> list[bytes]:
    size = 2 + len(name) + len(content)
    if size > _LARGEST:
        raise Unwritable("its metadata has no room for a caption")
    segment = struct.pack(">BBH", 0xFF, _MARKERS[name], size) + name + content
    # JFIF comes first, then EXIF and XMP.
    before = () if name == _EXIF else (_EXIF, _XMP)
    place = 1
    while place < len(parts) - 1 and (
        parts[place][1] == _APP0 or any(_is(parts[place], other) for other in before)
    ):
        place += 1
    if name == _EXIF:
        place = min(place, 2)
    return put(parts, segment, lambda part: _is(part, name), place)
