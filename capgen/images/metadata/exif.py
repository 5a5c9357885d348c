"""ImageDescription in EXIF data (a TIFF structure; CIPA DC-008).

Maker notes hold offsets into the whole block, so existing data is never moved: a changed copy
of the first directory goes to the end, and the header points to it.
"""

from __future__ import annotations

import struct

from capgen.images.metadata import Unwritable

_DESCRIPTION = 0x010E
_ASCII = 2
_ENTRY = 12


def read_description(block: bytes | None) -> str | None:
    """Return the ImageDescription of a TIFF block, or None."""
    if block is None:
        return None
    order, entries, _ = _directory(block)
    for entry in entries:
        tag, kind, count, place = struct.unpack(f"{order}HHII", entry)
        if tag == _DESCRIPTION and kind == _ASCII:
            raw = entry[8 : 8 + count] if count <= 4 else block[place : place + count]
            return raw.split(b"\0")[0].decode("utf-8", "replace")
    return None


def with_description(block: bytes | None, text: str) -> bytes:
    """Return a TIFF block with this ImageDescription (UTF-8), everything else in its place.

    `block` is without `Exif\\0\\0`; None makes a new block.
    """
    order, entries, following = ("<", [], 0) if block is None else _directory(block)
    block = block or struct.pack("<2sHI", b"II", 42, 8)
    block += b"\0" * (len(block) % 2)
    value = text.encode() + b"\0"
    value += b"\0" * max(0, 5 - len(value))  # up to four bytes would be stored in the entry
    entries = [entry for entry in entries if _tag(order, entry) != _DESCRIPTION]
    start = len(block)
    data_at = start + 2 + _ENTRY * (len(entries) + 1) + 4
    entries.append(struct.pack(f"{order}HHII", _DESCRIPTION, _ASCII, len(value), data_at))
    entries.sort(key=lambda entry: _tag(order, entry))
    directory = struct.pack(f"{order}H", len(entries)) + b"".join(entries)
    directory += struct.pack(f"{order}I", following)
    return block[:4] + struct.pack(f"{order}I", start) + block[8:] + directory + value


def _tag(order: str, entry: bytes) -> int:
    return int(struct.unpack_from(f"{order}H", entry)[0])


def _directory(block: bytes) -> tuple[str, list[bytes], int]:
    """Return the byte order, the entries of the first directory, and the next one's offset."""
    try:
        order = {b"II*\0": "<", b"MM\0*": ">"}[block[:4]]
        (place,) = struct.unpack_from(f"{order}I", block, 4)
        (count,) = struct.unpack_from(f"{order}H", block, place)
        end = place + 2 + _ENTRY * count
        (following,) = struct.unpack_from(f"{order}I", block, end)
    except (KeyError, struct.error) as error:
        raise Unwritable("its EXIF data is damaged") from error
    if place < 8:
        raise Unwritable("its EXIF data is damaged")
    entries = [block[at : at + _ENTRY] for at in range(place + 2, end, _ENTRY)]
    return order, entries, following
