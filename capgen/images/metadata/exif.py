"""ImageDescription in EXIF data (a TIFF structure; CIPA DC-008).

Maker notes hold offsets into the whole block, so nothing that is there is moved: a changed
copy of the first directory goes to the end, and the header points to it.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from capgen.images.metadata import Unwritable

DESCRIPTION = 0x010E
ASCII, BYTE = 2, 1
_ENTRY = 12
_LARGEST = 0xFFFFFFFF


def read_description(block: bytes) -> str | None:
    """Return the ImageDescription of a TIFF block, or None.

    It should be ASCII; UTF-8 is what everybody writes, and older programs what Windows had.

    Raises:
        Unwritable: The block is damaged.
    """
    raw = read_tag(block, DESCRIPTION, (ASCII,))
    if raw is None:
        return None
    raw = raw.split(b"\0")[0]
    for encoding in ("utf-8", "cp1252"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    return raw.decode("latin-1")


def with_description(block: bytes | None, text: str) -> bytes:
    """Return a TIFF block with this ImageDescription (UTF-8), everything else in its place.

    Args:
        block: The TIFF block there is, without `Exif\\0\\0`, or None to make one.
        text: The description.

    Raises:
        Unwritable: The block is damaged.
    """
    return with_tags(block, {DESCRIPTION: (ASCII, text.encode() + b"\0")})


def read_tag(block: bytes, tag: int, kinds: tuple[int, ...]) -> bytes | None:
    """Return the bytes of a tag of the first directory whose values are bytes, or None.

    Args:
        block: The TIFF block.
        tag: Number of the tag.
        kinds: Types that it may have, of one byte a value each.

    Raises:
        Unwritable: The block is damaged.
    """
    order, entries, _ = _directory(block)
    for entry in entries:
        found, kind, count, place = struct.unpack(f"{order}HHII", entry)
        if found == tag and kind in kinds:
            return entry[8 : 8 + count] if count <= 4 else block[place : place + count]
    return None


def with_tags(block: bytes | None, tags: Mapping[int, tuple[int, bytes]]) -> bytes:
    """Return a TIFF block whose first directory has these tags, everything else in its place.

    Args:
        block: The TIFF block there is, or None to make one.
        tags: Number of each tag → its type, of one byte a value, and its bytes.

    Raises:
        Unwritable: The block is damaged, or too large for its own offsets.
    """
    if block is None:
        block = struct.pack("<2sHI", b"II", 42, 8)
        entries: list[bytes] = []
        order, following = "<", 0
    else:
        order, entries, following = _directory(block)
        block += b"\0" * (len(block) % 2)
    entries = [entry for entry in entries if struct.unpack_from(f"{order}H", entry)[0] not in tags]
    start = len(block)
    place = start + 2 + _ENTRY * (len(entries) + len(tags)) + 4
    values = b""
    for tag, (kind, value) in tags.items():
        value += b"\0" * max(0, 5 - len(value))  # at most four bytes would be kept in the entry
        if place + len(values) + len(value) > _LARGEST:
            raise Unwritable("it is too large for one more tag")
        entries.append(struct.pack(f"{order}HHII", tag, kind, len(value), place + len(values)))
        values += value + b"\0" * (len(value) % 2)
    entries.sort(key=lambda entry: struct.unpack_from(f"{order}H", entry)[0])
    directory = struct.pack(f"{order}H", len(entries)) + b"".join(entries)
    directory += struct.pack(f"{order}I", following)
    return block[:4] + struct.pack(f"{order}I", start) + block[8:] + directory + values


def _directory(block: bytes) -> tuple[str, list[bytes], int]:
    """Return the byte order, the entries of the first directory, and the next one's place."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(block[:4])
    if order is None or len(block) < 14:
        raise Unwritable("its EXIF data is damaged")
    (place,) = struct.unpack_from(f"{order}I", block, 4)
    if not 8 <= place <= len(block) - 6:
        raise Unwritable("its EXIF data is damaged")
    (count,) = struct.unpack_from(f"{order}H", block, place)
    end = place + 2 + _ENTRY * count
    if end + 4 > len(block):
        raise Unwritable("its EXIF data is damaged")
    entries = [block[at : at + _ENTRY] for at in range(place + 2, end, _ENTRY)]
    (following,) = struct.unpack_from(f"{order}I", block, end)
    return order, entries, following
