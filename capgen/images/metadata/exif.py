"""ImageDescription in EXIF data (a TIFF structure; CIPA DC-008).

Maker notes hold offsets into the whole block, so nothing that is there is moved: a changed
copy of the first directory goes to the end, and the header points to it.
"""

from __future__ import annotations

import struct

from capgen.images.metadata import Unwritable

_DESCRIPTION = 0x010E
_ASCII = 2
_ENTRY = 12


def read_description(block: bytes) -> str | None:
    """Return the ImageDescription of a TIFF block, or None.

    Raises:
        Unwritable: The block is damaged.
    """
    order, entries, _ = _directory(block)
    for entry in entries:
        tag, kind, count, place = struct.unpack(f"{order}HHII", entry)
        if tag == _DESCRIPTION and kind == _ASCII:
            raw = entry[8 : 8 + count] if count <= 4 else block[place : place + count]
            return raw.split(b"\0")[0].decode("utf-8", "replace")
    return None


def with_description(block: bytes | None, text: str) -> bytes:
    """Return a TIFF block with this ImageDescription (UTF-8), everything else in its place.

    Args:
        block: The TIFF block there is, without `Exif\\0\\0`, or None to make one.
        text: The description.

    Raises:
        Unwritable: The block is damaged.
    """
    if block is None:
        block = struct.pack("<2sHI", b"II", 42, 8) + struct.pack("<HI", 0, 0)
        entries: list[bytes] = []
        order, following = "<", 0
        block = block[:8]
    else:
        order, entries, following = _directory(block)
        block += b"\0" * (len(block) % 2)
    value = text.encode() + b"\0"
    value += b"\0" * max(0, 5 - len(value))  # at most four bytes would be kept in the entry
    entries = [entry for entry in entries if struct.unpack_from(f"{order}H", entry)[0] != 0x010E]
    start = len(block)
    data_at = start + 2 + _ENTRY * (len(entries) + 1) + 4
    entries.append(struct.pack(f"{order}HHII", _DESCRIPTION, _ASCII, len(value), data_at))
    entries.sort(key=lambda entry: struct.unpack_from(f"{order}H", entry)[0])
    directory = struct.pack(f"{order}H", len(entries)) + b"".join(entries)
    directory += struct.pack(f"{order}I", following)
    return block[:4] + struct.pack(f"{order}I", start) + block[8:] + directory + value


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
