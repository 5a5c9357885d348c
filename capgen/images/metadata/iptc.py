"""Caption-Abstract in IPTC data (IIM 4.2) within Photoshop resources."""

from __future__ import annotations

import hashlib
import struct

from capgen.images.metadata import Unwritable

_IPTC_RESOURCE = 0x0404
_DIGEST_RESOURCE = 0x0425
_CHARACTER_SET = (1, 90)
_VERSION = (2, 0)
_CAPTION = (2, 120)
_UTF8 = b"\x1b%G"
_LONGEST = 2000

_Resource = tuple[int, bytes, bytes]
_DataSet = tuple[tuple[int, int], bytes]


def read_caption(resources: bytes | None) -> str | None:
    """Return the Caption-Abstract in a block of Photoshop resources, or None."""
    for number, _, data in _resources(resources or b""):
        if number == _IPTC_RESOURCE:
            sets = _data_sets(data)
            for kind, value in sets:
                if kind == _CAPTION:
                    return value.decode(_encoding(sets), "replace")
    return None


def with_caption(resources: bytes, text: str) -> bytes:
    """Return a block of Photoshop resources (may be empty) with this Caption-Abstract."""
    items = _resources(resources)
    data = next((data for number, _, data in items if number == _IPTC_RESOURCE), None)
    sets = _data_sets(data) if data else [(_CHARACTER_SET, _UTF8), (_VERSION, b"\0\4")]
    value = _shortened(text, _encoding(sets))
    place = next((n for n, (kind, _) in enumerate(sets) if kind == _CAPTION), None)
    sets = [item for item in sets if item[0] != _CAPTION]
    if place is None:  # in numerical order
        place = sum(kind <= _CAPTION for kind, _ in sets)
    sets.insert(place, (_CAPTION, value))
    iptc = b"".join(
        struct.pack(">BBBH", 0x1C, *kind, len(content)) + content for kind, content in sets
    )
    digest = hashlib.md5(iptc, usedforsecurity=False).digest()
    changed = {_IPTC_RESOURCE: iptc, _DIGEST_RESOURCE: digest}
    items = [(number, name, changed.get(number, data)) for number, name, data in items]
    if data is None:
        items.append((_IPTC_RESOURCE, b"\0\0", iptc))
    return b"".join(_resource(*item) for item in items)


def _encoding(sets: list[_DataSet]) -> str:
    return "utf-8" if (_CHARACTER_SET, _UTF8) in sets else "latin-1"


def _shortened(text: str, encoding: str) -> bytes:
    """Encode at most 2,000 bytes of whole characters."""
    value = text.encode(encoding, "replace")[:_LONGEST]
    return value.decode(encoding, "ignore").encode(encoding)


def _resources(block: bytes) -> list[_Resource]:
    items, place = [], 0
    while place < len(block):
        if block[place : place + 4] != b"8BIM" or place + 12 > len(block):
            raise Unwritable("its Photoshop data is damaged or of an unknown kind")
        (number,) = struct.unpack_from(">H", block, place + 4)
        name_end = place + 6 + (block[place + 6] + 2) // 2 * 2
        start = name_end + 4
        size = int.from_bytes(block[name_end:start], "big")
        if start + size > len(block):
            raise Unwritable("its Photoshop data is damaged")
        items.append((number, block[place + 6 : name_end], block[start : start + size]))
        place = start + size + size % 2
    return items


def _resource(number: int, name: bytes, data: bytes) -> bytes:
    head = b"8BIM" + struct.pack(">H", number) + name + struct.pack(">I", len(data))
    return head + data + b"\0" * (len(data) % 2)


def _data_sets(data: bytes) -> list[_DataSet]:
    sets, place = [], 0
    while any(data[place:]):  # the rest may be padding
        if data[place] != 0x1C or place + 5 > len(data):
            raise Unwritable("its IPTC data is damaged")
        record, number, size = struct.unpack_from(">BBH", data, place + 1)
        start = place + 5
        if size & 0x8000 or start + size > len(data):
            raise Unwritable("its IPTC data is damaged or of an unknown kind")
        sets.append(((record, number), data[start : start + size]))
        place = start + size
    return sets
