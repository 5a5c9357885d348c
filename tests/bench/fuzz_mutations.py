"""Breaking files: as bytes, as numbers, and as the chunks, segments, tags or boxes in them."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable, Sequence

Break = Callable[[random.Random, bytes], bytes]
_EXTREMES = (0, 1, 2, 0x7F, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_PNG_MAGIC = 8


def broken(chance: random.Random, file_format: str, data: bytes, others: Sequence[bytes]) -> bytes:
    """Return a file with one to three faults.

    Args:
        chance: What decides.
        file_format: Pillow's name of the format of `data`.
        data: A file.
        others: Files to take pieces from.
    """
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        parts = _PARTS.get(file_format)
        if parts is not None and chance.random() < 0.6:
            data = parts(chance, data)
        elif chance.random() < 0.1:
            data = _spliced(chance, data, chance.choice(others))
        else:
            data = chance.choice(_BYTES)(chance, data)
        if not data:
            break
    return data


def _place(chance: random.Random, data: bytes) -> int:
    """Return a place in `data`, more often near its start, where the headers are."""
    return int(chance.random() ** chance.choice((1, 2, 4)) * len(data))


def _flipped(chance: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 8, 50))):
        changed[_place(chance, data)] = chance.choice((0, 0xFF, chance.randrange(256)))
    return bytes(changed)


def _cut(chance: random.Random, data: bytes) -> bytes:
    return data[: chance.randrange(len(data))]


def _number(chance: random.Random, data: bytes) -> bytes:
    place = _place(chance, data)
    form = chance.choice(("<H", ">H", "<I", ">I", "<Q", ">Q"))
    size = struct.calcsize(form)
    value = chance.choice(_EXTREMES) + chance.choice((-1, 0, 0, 1))
    content = struct.pack(form, value % (1 << 8 * size))
    return data[:place] + content + data[place + size :]


def _repeated(chance: random.Random, data: bytes) -> bytes:
    start, end = sorted((_place(chance, data), _place(chance, data)))
    return data[:end] + data[start:end] * chance.choice((1, 1, 5, 40)) + data[end:]


def _removed(chance: random.Random, data: bytes) -> bytes:
    start = _place(chance, data)
    return data[:start] + data[start + chance.choice((1, 2, 4, 30, 300)) :]


def _noise(chance: random.Random, data: bytes) -> bytes:
    start, size = _place(chance, data), chance.choice((4, 40, 400))
    return data[:start] + chance.randbytes(size) + data[start + chance.choice((0, size)) :]


_BYTES: tuple[Break, ...] = (
    _flipped,
    _flipped,
    _cut,
    _number,
    _number,
    _repeated,
    _removed,
    _noise,
)


def _spliced(chance: random.Random, data: bytes, other: bytes) -> bytes:
    return data[: _place(chance, data)] + other[_place(chance, other) :]


def _rearranged(chance: random.Random, parts: list[bytes]) -> list[bytes]:
    """Swap, repeat, remove or break a part."""
    if not parts:
        return parts
    one, two = chance.randrange(len(parts)), chance.randrange(len(parts))
    what = chance.randrange(5)
    if what == 0:
        parts[one], parts[two] = parts[two], parts[one]
    elif what == 1:
        parts.insert(two, parts[one])
    elif what == 2:
        del parts[one]
    elif what == 3:
        parts[one:one] = [parts[one]] * chance.choice((3, 300))
    elif parts[one]:
        parts[one] = chance.choice(_BYTES)(chance, parts[one])
    return parts


def _png(chance: random.Random, data: bytes) -> bytes:
    """Break a PNG's chunks, with checksums that are right: or no more would be read."""
    parts, place = [], _PNG_MAGIC
    while place + 12 <= len(data):
        size = int.from_bytes(data[place : place + 4], "big")
        parts.append(data[place + 4 : place + 8 + size])
        place += 12 + size
    packed = (
        struct.pack(">I", max(0, len(part) - 4)) + part + struct.pack(">I", zlib.crc32(part))
        for part in _rearranged(chance, parts)
    )
    return data[:_PNG_MAGIC] + b"".join(packed)


def _jpeg(chance: random.Random, data: bytes) -> bytes:
    parts, place = [], 2
    while place + 4 <= len(data) and data[place] == 0xFF and data[place + 1] != 0xDA:
        end = place + 2 + int.from_bytes(data[place + 2 : place + 4], "big")
        parts.append(data[place:end])
        place = end
    scans = data[place:].split(b"\xff\xda")
    parts += [b"\xff\xda" + scan for scan in scans[1:]]
    return data[:2] + b"".join(_rearranged(chance, parts))


def _riff(chance: random.Random, data: bytes) -> bytes:
    parts, place = [], 12
    while place + 8 <= len(data):
        size = int.from_bytes(data[place + 4 : place + 8], "little")
        parts.append(data[place : place + 8 + size + size % 2])
        place += 8 + size + size % 2
    body = b"".join(_rearranged(chance, parts))
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def _tiff(chance: random.Random, data: bytes) -> bytes:
    """Change the tag, type, number or value of an entry of the first directory."""
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:3] == b"+"
    start = int(struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)[0])
    if start + 10 > len(data):
        return _flipped(chance, data)
    entries = int(struct.unpack_from(order + "H", data, start)[0])
    if big:
        start += 6
    size = 20 if big else 12
    place = start + 2 + size * chance.randrange(max(1, min(entries, 200)))
    field, form = chance.choice(((0, "H"), (2, "H"), (4, "I"), (8, "I"), (8, "H"), (12, "I")))
    values = {0: (256, 257, 258, 259, 262, 273, 278, 279, 320, 322, 700, 34665, 34675, 339, 338)}
    values[2] = tuple(range(20))
    value = chance.choice(values.get(field, (*_EXTREMES, start, len(data), chance.randrange(64))))
    changed = bytearray(data)
    if place + 16 <= len(data):
        struct.pack_into(
            order + form, changed, place + field, value % (1 << 16 if form == "H" else 1 << 32)
        )
    return bytes(changed)


def _boxes(chance: random.Random, data: bytes) -> bytes:
    """Break the boxes of an ISO media file, those within `meta` as well."""
    parts, place = [], 0
    while place + 8 <= len(data):
        size = int.from_bytes(data[place : place + 4], "big")
        if size < 8:
            break
        parts.append(data[place : place + size])
        place += size
    inner = next((n for n, part in enumerate(parts) if part[4:8] == b"meta"), None)
    if inner is not None and chance.random() < 0.7:
        head, body = parts[inner][:12], parts[inner][12:]
        body = _boxes_of(chance, body)
        parts[inner] = struct.pack(">I", 12 + len(body)) + head[4:] + body
        return b"".join(parts)
    return b"".join(_rearranged(chance, parts))


def _boxes_of(chance: random.Random, body: bytes) -> bytes:
    parts, place = [], 0
    while place + 8 <= len(body):
        size = max(8, int.from_bytes(body[place : place + 4], "big"))
        parts.append(body[place : place + size])
        place += size
    return b"".join(_rearranged(chance, parts))


_PARTS: dict[str, Break] = {
    "PNG": _png,
    "JPEG": _jpeg,
    "MPO": _jpeg,
    "WEBP": _riff,
    "TIFF": _tiff,
    "AVIF": _boxes,
    "HEIF": _boxes,
}
