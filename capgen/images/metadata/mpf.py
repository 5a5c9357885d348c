"""The index of a JPEG with several images (CIPA DC-007, Multi-Picture Format).

Phones put gain maps, depth maps and second lenses behind the first image. The index has their
offsets, relative to itself, and the length of the first image, which change with its metadata.
"""

from __future__ import annotations

import struct

from capgen.images.metadata import Unwritable

_APP2 = 0xE2
_NAME = b"MPF\0"
_ENTRIES_TAG = 0xB002
_UNDEFINED = 7
_ENTRY = 16
_DAMAGED = "its index of images is damaged"


def moved(old: list[bytes], new: list[bytes]) -> list[bytes]:
    """Return the pieces of a JPEG with correct offsets in their index.

    Args:
        old: The old pieces, whose index is correct. The pixels of the first image and all other
            images are in the last piece.
        new: The same with other segments.
    """
    found = [number for number, part in enumerate(old[:-1]) if _is_index(part)]
    if not found:
        return new
    if len(found) > 1:
        raise Unwritable("it has several indexes of images")
    index = old[found[0]]
    place = next(number for number, part in enumerate(new) if part == index)
    old_start, new_start = (
        sum(map(len, parts[:number])) + 8 for parts, number in ((old, found[0]), (new, place))
    )
    grown = sum(map(len, new)) - sum(map(len, old))
    changed = _with_places(index, old, old_start, grown, grown - (new_start - old_start))
    return [*new[:place], changed, *new[place + 1 :]]


def _is_index(part: bytes) -> bool:
    return part[1:2] == bytes([_APP2]) and part[4:8] == _NAME


def _with_places(index: bytes, old: list[bytes], start: int, grown: int, shift: int) -> bytes:
    """Return the index for a first image that has `grown`, and others moved by `shift`."""
    whole = b"".join(old)
    before_pixels = len(whole) - len(old[-1])
    block = bytearray(index[8:])
    order, first, count = _entries(bytes(block))
    for number in range(count):
        size, offset = struct.unpack_from(f"{order}II", block, first + _ENTRY * number + 4)
        if offset == 0:  # the first image itself
            size += grown if size else 0
        elif (
            start + offset < before_pixels
            or whole[start + offset : start + offset + 2] != b"\xff\xd8"
            or not 0 < offset + shift <= 0xFFFFFFFF
        ):
            raise Unwritable(_DAMAGED)
        else:
            offset += shift
        struct.pack_into(f"{order}II", block, first + _ENTRY * number + 4, size, offset)
    return index[:8] + bytes(block)


def _entries(block: bytes) -> tuple[str, int, int]:
    """Return the byte order, and the offset and number of the entries."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(block[:4])
    try:
        if order is None:
            raise Unwritable(_DAMAGED)
        (place,) = struct.unpack_from(f"{order}I", block, 4)
        (tags,) = struct.unpack_from(f"{order}H", block, place)
        for number in range(tags):
            tag, kind, size, first = struct.unpack_from(
                f"{order}HHII", block, place + 2 + 12 * number
            )
            if (tag, kind) == (_ENTRIES_TAG, _UNDEFINED):
                if size % _ENTRY or not size or first + size > len(block):
                    raise Unwritable(_DAMAGED)
                return order, first, size // _ENTRY
    except struct.error as error:
        raise Unwritable(_DAMAGED) from error
    raise Unwritable(_DAMAGED)
