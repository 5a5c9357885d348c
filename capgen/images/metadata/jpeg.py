"""JPEG files as segments, of which only those with metadata are changed."""

from __future__ import annotations

import struct

from capgen.images.metadata import Unwritable, exif, iptc, put, xmp

_EXIF = b"Exif\0\0"
_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_PHOTOSHOP = b"Photoshop 3.0\0"
_APP0, _APP2 = 0xE0, 0xE2
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


def read(parts: list[bytes]) -> list[str | None]:
    """Return the captions in EXIF, XMP and IPTC, each None if there is none."""
    return [
        exif.read_description(_content(parts, _EXIF)),
        xmp.read_description(_content(parts, _XMP)),
        iptc.read_caption(_content(parts, _PHOTOSHOP)),
    ]


def write(parts: list[bytes], text: str) -> list[bytes]:
    """Return the pieces with the caption in EXIF, XMP and IPTC."""
    if any(part[1] == _APP2 and part[4:8] == b"MPF\0" for part in parts[1:-1]):
        raise Unwritable("it holds several images, whose offsets would change")
    block = exif.with_description(_content(parts, _EXIF), text)
    packet = xmp.with_description(_content(parts, _XMP), text)
    resources = iptc.with_caption(_content(parts, _PHOTOSHOP) or b"", text)
    parts = _put(parts, _EXIF, block)
    parts = _put(parts, _XMP, packet)
    return _put(parts, _PHOTOSHOP, resources)


def _is(part: bytes, name: bytes) -> bool:
    return part[1] == _MARKERS[name] and part.startswith(name, 4)


def _content(parts: list[bytes], name: bytes) -> bytes | None:
    contents = [part[4 + len(name) :] for part in parts[1:-1] if _is(part, name)]
    if len(contents) > 1:
        raise Unwritable("its metadata is spread over several segments")
    return contents[0] if contents else None


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
