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


def read_caption(resources: bytes) -> str | None:
    """Return the Caption-Abstract in a block of Photoshop resources, or None.

    Raises:
        Unwritable: The block is damaged.
    """
    for number, _, data in _resources(resources):
        if number == _IPTC_RESOURCE:
            sets = _data_sets(data)
            for kind, value in sets:
                if kind == _CAPTION:
                    return value.decode(_encoding(sets), "replace")
    return None


def with_caption(resources: bytes, text: str) -> bytes:
    """Return a block of Photoshop resources (may be empty) with this Caption-Abstract.

    Raises:
        Unwritable: The block is damaged.
    """
    found = _resources(resources)
    data = next((data for number, _, data in found if number == _IPTC_RESOURCE), None)
    sets = _data_sets(data) if data else [(_CHARACTER_SET, _UTF8), (_VERSION, b"\0\4")]
    value = _shortened(text, _encoding(sets))
    place = next((n for n, (kind, _) in enumerate(sets) if kind == _CAPTION), None)
    sets = [item for item in sets if item[0] != _CAPTION]
    # Behind what is not greater, or where it was.
    if place is None:
        place = sum(kind <= _CAPTION for kind, _ in sets)
    sets.insert(place, (_CAPTION, value))
    iptc = b"".join(_data_set(kind, content) for kind, content in sets)
    digest = hashlib.md5(iptc, usedforsecurity=False).digest()
    renewed = {_IPTC_RESOURCE: iptc, _DIGEST_RESOURCE: digest}
    found = [(number, name, renewed.get(number, data)) for number, name, data in found]
    if data is None:
        found.append((_IPTC_RESOURCE, b"\0\0", iptc))
    return b"".join(_resource(*item) for item in found)


def _encoding(sets: list[_DataSet]) -> str:
    return "utf-8" if (_CHARACTER_SET, _UTF8) in sets else "latin-1"


def _shortened(text: str, encoding: str) -> bytes:
    """Encode at most 2,000 bytes, and no half character."""
    value = text.encode(encoding, "replace")[:_LONGEST]
    return value.decode(encoding, "ignore").encode(encoding)


def _resources(block: bytes) -> list[_Resource]:
    found, place = [], 0
    while place < len(block):
        if block[place : place + 4] != b"8BIM" or place + 12 > len(block):
            raise Unwritable("its Photoshop data is damaged or of an unknown kind")
        (number,) = struct.unpack_from(">H", block, place + 4)
        name_end = place + 6 + (block[place + 6] + 2) // 2 * 2
        if name_end + 4 > len(block):
            raise Unwritable("its Photoshop data is damaged")
        name = block[place + 6 : name_end]
        (size,) = struct.unpack_from(">I", block, name_end)
        start = name_end + 4
        if start + size > len(block):
            raise Unwritable("its Photoshop data is damaged")
        found.append((number, name, block[start : start + size]))
        place = start + size + size % 2
    return found


def _resource(number: int, name: bytes, data: bytes) -> bytes:
    head = b"8BIM" + struct.pack(">H", number) + name + struct.pack(">I", len(data))
    return head + data + b"\0" * (len(data) % 2)


def _data_sets(data: bytes) -> list[_DataSet]:
    found, place = [], 0
    while place < len(data):
        if not any(data[place:]):  # padding
            break
        if data[place] != 0x1C or place + 5 > len(data):
            raise Unwritable("its IPTC data is damaged")
        record, number, size = struct.unpack_from(">BBH", data, place + 1)
        start = place + 5
        if size & 0x8000 or start + size > len(data):
            raise Unwritable("its IPTC data is damaged or of an unknown kind")
        found.append(((record, number), data[start : start + size]))
        place = start + size
    return found


def _data_set(kind: tuple[int, int], value: bytes) -> bytes:
    return struct.pack(">BBBH", 0x1C, *kind, len(value)) + value
