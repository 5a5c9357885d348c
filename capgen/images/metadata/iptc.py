"""Caption-Abstract and Keywords in IPTC data (IIM 4.2) within Photoshop resources."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence

from capgen.images.metadata import Unwritable
from capgen.images.metadata.western import may_be_western

_IPTC_RESOURCE = 0x0404
_DIGEST_RESOURCE = 0x0425
_CHARACTER_SET = (1, 90)
_VERSION = (2, 0)
_CAPTION = (2, 120)
KEYWORDS = 25  # a data set of record 2
_UTF8 = b"\x1b%G"
# ISO 8859-1 as ISO 2022 names it.
_LATIN = (b"\x1b.A", b"\x1b-A", b"\x1b/A")
# Data sets of record 2 that are numbers or images, not text.
_BINARY = {0, 125, 200, 201, 202}
_LONGEST, LONGEST_KEYWORD = 2000, 64
_LONGEST_SET = 0x7FFF

_Resource = tuple[int, bytes, bytes]
_DataSet = tuple[tuple[int, int], bytes]


def read_caption(resources: bytes | None) -> str | None:
    """Return the Caption-Abstract in a block of Photoshop resources, or None."""
    for number, _, data in _resources(resources or b""):
        if number == _IPTC_RESOURCE:
            return caption_in(data)
    return None


def caption_in(data: bytes | None) -> str | None:
    """Return the Caption-Abstract in IPTC data, or None."""
    sets = _in_utf8(_data_sets(data or b""))
    captions = [value.decode() for kind, value in sets if kind == _CAPTION]
    if len(captions) > 1:
        raise Unwritable("it has several IPTC captions")
    return captions[0] if captions else None


def read_values(resources: bytes | None, number: int) -> list[str]:
    """Return the texts of a data set of record 2 in a block of Photoshop resources, in order."""
    for resource, _, data in _resources(resources or b""):
        if resource == _IPTC_RESOURCE:
            return values_in(data, number)
    return []


def values_in(data: bytes | None, number: int) -> list[str]:
    """Return the texts of a data set of record 2 in IPTC data, in order."""
    sets = _in_utf8(_data_sets(data or b""))
    return [value.decode() for kind, value in sets if kind == (2, number)]


def with_caption(resources: bytes, text: str) -> bytes:
    """Return a block of Photoshop resources (may be empty) with this Caption-Abstract.

    All texts become UTF-8, and the data declares that.
    """
    old = (value.encode() for value in read_values(resources, _CAPTION[1]))
    longest = max(_LONGEST, *map(len, old), 0)
    return _with_values(resources, _CAPTION, [shortened(text, longest)])


def with_keywords(resources: bytes, keywords: Sequence[str]) -> bytes:
    """Return a block of Photoshop resources (may be empty) with exactly these Keywords.

    Those that are not there yet are cut to the length that IIM allows. Texts become UTF-8, as in
    `with_caption`.
    """
    old = read_values(resources, KEYWORDS)
    values = [text if text in old else shortened(text, LONGEST_KEYWORD) for text in keywords]
    return _with_values(resources, (2, KEYWORDS), values)


def _with_values(resources: bytes, wanted: tuple[int, int], values: Sequence[str]) -> bytes:
    """Return a block of Photoshop resources with these values of a kind of data set."""
    items = _resources(resources)
    data = next((data for number, _, data in items if number == _IPTC_RESOURCE), None)
    sets = _in_utf8(_data_sets(data)) if data else [(_CHARACTER_SET, _UTF8), (_VERSION, b"\0\4")]
    place = next((n for n, (kind, _) in enumerate(sets) if kind == wanted), None)
    sets = [item for item in sets if item[0] != wanted]
    if place is None:  # in numerical order
        place = sum(kind <= wanted for kind, _ in sets)
    sets[place:place] = [(wanted, value.encode()) for value in values]
    iptc = b"".join(
        struct.pack(">BBBH", 0x1C, *kind, len(content)) + content for kind, content in sets
    )
    digest = hashlib.md5(iptc, usedforsecurity=False).digest()
    changed = {_IPTC_RESOURCE: iptc, _DIGEST_RESOURCE: digest}
    items = [(number, name, changed.get(number, data)) for number, name, data in items]
    if data is None:
        items.append((_IPTC_RESOURCE, b"\0\0", iptc))
    return b"".join(_resource(*item) for item in items)


def shortened(text: str, longest: int = _LONGEST) -> str:
    """Return the part of a text that fits into IPTC, in whole characters."""
    return text.encode()[:longest].decode(errors="ignore")


def _in_utf8(sets: list[_DataSet]) -> list[_DataSet]:
    """Return data sets with their texts in UTF-8, and the one that declares it."""
    named = [value for kind, value in sets if kind == _CHARACTER_SET]
    if named == [_UTF8]:
        encoding = "utf-8"
    elif named and not all(value in _LATIN for value in named):
        raise Unwritable("its IPTC data is in an unknown character set")
    else:
        encoding = "latin-1" if named else _guessed([v for k, v in sets if _is_text(k)])
    try:
        sets = [
            (kind, value.decode(encoding).encode() if _is_text(kind) else value)
            for kind, value in sets
            if kind != _CHARACTER_SET
        ]
    except UnicodeDecodeError as error:
        raise Unwritable("its IPTC data is in an unknown character set") from error
    if any(len(value) > _LONGEST_SET for _, value in sets):
        raise Unwritable("its IPTC data has no room for another character set")
    place = sum(kind < _CHARACTER_SET for kind, _ in sets)
    return [*sets[:place], (_CHARACTER_SET, _UTF8), *sets[place:]]


def _is_text(kind: tuple[int, int]) -> bool:
    return kind[0] == 2 and kind[1] not in _BINARY


def _guessed(values: list[bytes]) -> str:
    """Return the encoding of texts without a declaration; UTF-8 hardly occurs by chance."""
    try:
        b"\n".join(values).decode("utf-8")
    except UnicodeDecodeError as error:
        if not all(map(may_be_western, values)):
            raise Unwritable("its IPTC data is in an unknown character set") from error
        return "cp1252"
    return "utf-8"


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
    if sum(number == _IPTC_RESOURCE for number, _, _ in items) > 1:
        raise Unwritable("it has IPTC data twice")
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
