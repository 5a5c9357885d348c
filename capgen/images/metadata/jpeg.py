"""JPEG files as segments: the metadata ones replaced, the image's own untouched."""

from __future__ import annotations

import struct

from capgen.images.metadata import Unwritable, mpf, xmp
from capgen.images.metadata.blocks import Blocks

_EXIF = b"Exif\0\0"
_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_PHOTOSHOP = b"Photoshop 3.0\0"
_APP0, _APP1, _APP13 = 0xE0, 0xE1, 0xED
_LARGEST = 65533


def pieces(data: bytes) -> list[bytes]:
    """Split a JPEG into its start, its segments, and the rest from the image on.

    Raises:
        Unwritable: The segments are damaged.
    """
    found, place = [data[:2]], 2
    while True:
        if data[place : place + 1] != b"\xff" or place + 4 > len(data):
            raise Unwritable("its segments are damaged")
        marker = data[place + 1]
        if marker == 0xDA:
            return [*found, data[place:]]
        (size,) = struct.unpack_from(">H", data, place + 2)
        end = place + 2 + size
        if size < 2 or end > len(data) or marker in (0xFF, 0x00, 0x01) or 0xD0 <= marker <= 0xD9:
            raise Unwritable("its segments are damaged")
        found.append(data[place:end])
        place = end


def blocks(parts: list[bytes]) -> Blocks:
    """Return the metadata in the pieces of a JPEG.

    Raises:
        Unwritable: It is spread over several segments.
    """
    return Blocks(
        exif=_content(parts, _APP1, _EXIF),
        xmp=_content(parts, _APP1, _XMP),
        iptc=_content(parts, _APP13, _PHOTOSHOP) or b"",
    )


def with_blocks(parts: list[bytes], old: Blocks, new: Blocks) -> list[bytes]:
    """Return the pieces with new metadata instead of old.

    Raises:
        Unwritable: It is too large, or an index of images behind the first one is damaged.
    """
    changed = parts
    if new.exif is not None and new.exif != old.exif:
        changed = _put(changed, _APP1, _EXIF, new.exif)
    if new.xmp is not None and new.xmp != old.xmp:
        packet = new.xmp
        if 2 + len(_XMP) + len(packet) > _LARGEST:
            packet = xmp.without_padding(packet)
        changed = _put(changed, _APP1, _XMP, packet)
    if new.iptc and new.iptc != old.iptc:
        changed = _put(changed, _APP13, _PHOTOSHOP, new.iptc)
    return mpf.moved(parts, changed)


def _is(part: bytes, marker: int, name: bytes) -> bool:
    return part[1] == marker and part[4:].startswith(name)


def _content(parts: list[bytes], marker: int, name: bytes) -> bytes | None:
    found = [part[4 + len(name) :] for part in parts[1:-1] if _is(part, marker, name)]
    if len(found) > 1:
        raise Unwritable("its metadata is spread over several segments")
    return found[0] if found else None


def _put(parts: list[bytes], marker: int, name: bytes, content: bytes) -> list[bytes]:
    size = 2 + len(name) + len(content)
    if size > _LARGEST:
        raise Unwritable("its metadata has no room for a caption")
    segment = struct.pack(">BBH", 0xFF, marker, size) + name + content
    for place, part in enumerate(parts[1:-1], 1):
        if _is(part, marker, name):
            return [*parts[:place], segment, *parts[place + 1 :]]
    # Behind JFIF and the metadata that is there already.
    place = 1
    while place < len(parts) - 1 and (
        parts[place][1] == _APP0
        or _is(parts[place], _APP1, _EXIF)
        or _is(parts[place], _APP1, _XMP)
    ):
        place += 1
    if name == _EXIF:  # EXIF comes first
        place = 1 + (len(parts) > 2 and parts[1][1] == _APP0)
    return [*parts[:place], segment, *parts[place:]]
