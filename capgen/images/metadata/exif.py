"""ImageDescription in EXIF data (a TIFF structure; CIPA DC-008).

Maker notes hold offsets into the whole block, so existing data is never moved: a changed copy
of the first directory goes to the end, and the header points to it.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from capgen.images.metadata import Unwritable
from capgen.images.metadata.western import may_be_western

DESCRIPTION = 0x010E
_WINDOWS_KEYWORDS = 0x9C9E
# The directory of the camera's data, and a tag in it.
_EXIF_DIRECTORY, _DATE = 0x8769, 0x9003
ASCII, BYTE = 2, 1
# Bytes per value of the types that texts are stored as; 129 is UTF-8 (Exif 3.0).
_SIZES = {BYTE: 1, ASCII: 1, 4: 4, 6: 1, 7: 1, 129: 1}
_ENTRY = 12
_LARGEST = 0xFFFFFFFF


def read_description(block: bytes | None) -> str | None:
    """Return the ImageDescription of a TIFF block, or None.

    The standard says ASCII; most programs write UTF-8, and older ones Windows-1252.
    """
    raw = None if block is None else read_tag(block, DESCRIPTION)
    if raw is None:
        return None
    raw = raw.split(b"\0")[0]
    for encoding in ("utf-8", "cp1252"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    return raw.decode("latin-1")


def check_legible(block: bytes | None) -> None:
    """Raise Unwritable if nobody knows the encoding of the ImageDescription."""
    raw = (None if block is None else read_tag(block, DESCRIPTION)) or b""
    try:
        raw.split(b"\0")[0].decode("utf-8")
    except UnicodeDecodeError as error:
        if not may_be_western(raw):
            raise Unwritable("its description is in an unknown character set") from error


def read_windows_keywords(block: bytes | None) -> list[str]:
    """Return the keywords that Windows wrote into a TIFF block (XPKeywords)."""
    raw = (None if block is None else read_tag(block, _WINDOWS_KEYWORDS)) or b""
    return [text for text in raw.decode("utf-16-le", "replace").strip("\0").split(";") if text]


def read_date(block: bytes | None) -> str | None:
    """Return the DateTimeOriginal of a TIFF block, as in `2024:05:31 12:00:00`, or None."""
    if block is None:
        return None
    order, entries, _ = _directory(block)
    for entry in entries:
        if _tag(order, entry) == _EXIF_DIRECTORY:
            (place,) = struct.unpack(f"{order}I", entry[8:])
            raw = _value(block, _directory_at(block, order, place)[0], order, _DATE)
            return None if raw is None else raw.split(b"\0")[0].decode("latin-1")
    return None


def with_description(block: bytes | None, text: str) -> bytes:
    """Return a TIFF block with this ImageDescription (UTF-8), everything else in its place.

    `block` is without `Exif\\0\\0`; None makes a new block.
    """
    return with_tags(block, {DESCRIPTION: (ASCII, text.encode() + b"\0")})


def read_tag(block: bytes, tag: int) -> bytes | None:
    """Return the bytes of a tag of the first directory, or None.

    Raises:
        Unwritable: The block is damaged, or the tag is of a type for other things than text.
    """
    order, entries, _ = _directory(block)
    return _value(block, entries, order, tag)


def _value(block: bytes, entries: list[bytes], order: str, tag: int) -> bytes | None:
    for entry in entries:
        found, kind, count, place = struct.unpack(f"{order}HHII", entry)
        if found == tag:
            if kind not in _SIZES:
                raise Unwritable("its EXIF data is written in an unusual way")
            size = count * _SIZES[kind]
            return entry[8 : 8 + size] if size <= 4 else block[place : place + size]
    return None


def with_tags(block: bytes | None, tags: Mapping[int, tuple[int, bytes]]) -> bytes:
    """Return a TIFF block with these tags in its first directory, everything else in its place.

    `tags` maps the number of each tag to its type, of one byte per value, and its bytes.
    """
    order, entries, following = ("<", [], 0) if block is None else _directory(block)
    block = block or struct.pack("<2sHI", b"II", 42, 8)
    block += b"\0" * (len(block) % 2)
    entries = [entry for entry in entries if _tag(order, entry) not in tags]
    start = len(block)
    place = start + 2 + _ENTRY * (len(entries) + len(tags)) + 4
    values = b""
    for number, (kind, value) in tags.items():
        value += b"\0" * max(0, 5 - len(value))  # up to four bytes would be stored in the entry
        if place + len(values) + len(value) > _LARGEST:
            raise Unwritable("it is too large for one more tag")
        entries.append(struct.pack(f"{order}HHII", number, kind, len(value), place + len(values)))
        values += value + b"\0" * (len(value) % 2)
    entries.sort(key=lambda entry: _tag(order, entry))
    directory = struct.pack(f"{order}H", len(entries)) + b"".join(entries)
    directory += struct.pack(f"{order}I", following)
    return block[:4] + struct.pack(f"{order}I", start) + block[8:] + directory + values


def _tag(order: str, entry: bytes) -> int:
    return int(struct.unpack_from(f"{order}H", entry)[0])


def _directory(block: bytes) -> tuple[str, list[bytes], int]:
    """Return the byte order, the entries of the first directory, and the next one's offset."""
    try:
        order = {b"II*\0": "<", b"MM\0*": ">"}[block[:4]]
        (place,) = struct.unpack_from(f"{order}I", block, 4)
    except (KeyError, struct.error) as error:
        raise Unwritable("its EXIF data is damaged") from error
    return order, *_directory_at(block, order, place)


def _directory_at(block: bytes, order: str, place: int) -> tuple[list[bytes], int]:
    """Return the entries of the directory at an offset, and the next one's offset."""
    try:
        (count,) = struct.unpack_from(f"{order}H", block, place)
        end = place + 2 + _ENTRY * count
        (following,) = struct.unpack_from(f"{order}I", block, end)
    except struct.error as error:
        raise Unwritable("its EXIF data is damaged") from error
    if place < 8:
        raise Unwritable("its EXIF data is damaged")
    return [block[at : at + _ENTRY] for at in range(place + 2, end, _ENTRY)], following
