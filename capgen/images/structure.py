"""What the parts of a file cost a decoder, estimated from the bytes before decoding.

A file of a few kilobytes can keep a decoder busy for hours: a JPEG with thousands of scans, a
TIFF whose tags all point to the same megabytes. Nothing here raises, whatever the bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import accumulate, islice

from capgen.images.headers import png_chunks
from capgen.images.jpeg_structure import jpeg_excess, jpeg_metadata

# Encoders write chunks of 8 KB and more; a GIF's blocks have at most 255 bytes.
_MOST_CHUNKS = 1_000_000
_MOST_BLOCKS = 100_000
# One per strip or tile and colour.
_MOST_TIFF_VALUES = 250_000
_MOST_TIFF_TAGS = 65_535
# A tile is decoded whole, however small the image. Usual tiles have 256 × 256 pixels.
_MOST_TILE_PIXELS = 1 << 26
# Tags may share small values (both resolutions, say).
_SHARED_TAG_BYTES = 1 << 20
# Pillow unpacks these in Python, a run or a pixel at a time.
_MOST_RLE_PIXELS = 1 << 24
_MOST_SPARE_BYTES = 1 << 20

# What a PNG needs to be shown. Pillow would unpack the rest (texts, profiles, animation), which
# may be compressed to any degree.
_PNG_CHUNKS = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"eXIf"}

_TIFF_UNITS = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
_TIFF_UNITS |= {13: 4, 16: 8, 17: 8, 18: 8}
_TIFF_BYTES = {1, 2, 6, 7}
_TIFF_PLACES = {273, 279, 324, 325}  # offsets and lengths of strips and tiles
_TILE_WIDTH, _TILE_LENGTH = 322, 323
_BMP_RLE = (1, 2)


def excess(file_format: str, data: bytes) -> str:
    """Return what a file has too much of to be decoded in reasonable time and memory, or ""."""
    checks = {"JPEG": jpeg_excess, "TIFF": _tiff_excess, "BMP": _bmp_excess}
    check = (checks | {"PNG": _png_excess, "GIF": _gif_excess}).get(file_format)
    return "" if check is None else check(data)


def without_metadata(file_format: str, data: bytes) -> bytes:
    """Return a JPEG, PNG or GIF without the parts that its image does not need.

    An animated PNG becomes a still image. JPEGs also lose their EXIF data (see
    `capgen.images.jpeg_structure.jpeg_exif`), which Pillow would unpack.
    """
    metadata = {"JPEG": jpeg_metadata, "PNG": _png_metadata, "GIF": _gif_metadata}.get(file_format)
    return data if metadata is None else _without(data, metadata(data))


def _longer(items: Iterator[object], most: int) -> bool:
    return next(islice(items, most, None), None) is not None


def _without(data: bytes, ranges: Iterator[tuple[int, int]]) -> bytes:
    """Return `data` without these ranges, which are in order."""
    kept, place = [], 0
    for start, end in ranges:
        kept.append(data[place:start])
        place = end
    return b"".join((*kept, data[place:])) if kept else data


def _png_excess(data: bytes) -> str:
    return f"more than {_MOST_CHUNKS:,} chunks" if _longer(png_chunks(data), _MOST_CHUNKS) else ""


def _png_metadata(data: bytes) -> Iterator[tuple[int, int]]:
    for kind, start, end in png_chunks(data):
        if kind not in _PNG_CHUNKS and end <= len(data):
            yield start, end
        if kind == b"IEND" and end < len(data):
            yield end, len(data)


def _gif_excess(data: bytes) -> str:
    totals = accumulate(blocks for _, _, _, blocks in _gif_parts(data))
    too_many = any(total > _MOST_BLOCKS for total in totals)
    return f"more than {_MOST_BLOCKS:,} blocks before its first image" if too_many else ""


def _gif_metadata(data: bytes) -> Iterator[tuple[int, int]]:
    parts = _gif_parts(data)
    return ((start, end) for label, start, end, _ in parts if label == 0xFE)  # comments


def _gif_parts(data: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Yield (label, start, end, blocks) of each extension before the first image.

    Bytes between them, which Pillow skips one by one, have the label -1.
    """
    place = 13
    if len(data) > 10 and data[10] & 0x80:
        place += 3 << (data[10] & 7) + 1
    while place < len(data) and data[place] not in b",;":
        start, blocks = place, 1
        if data[place] != 0x21:
            place += 1
            yield -1, start, place, blocks
            continue
        place += 2
        while place < len(data) and data[place] and blocks <= _MOST_BLOCKS:
            place += 1 + data[place]
            blocks += 1
        place += 1
        yield data[start + 1] if start + 1 < len(data) else -1, start, place, blocks


def _bmp_excess(data: bytes) -> str:
    if len(data) < 34 or int.from_bytes(data[14:18], "little") < 40:
        return ""
    width, height, _, _, compression = struct.unpack_from("<iiHHI", data, 18)
    if compression not in _BMP_RLE:
        return ""
    pixels = abs(width * height)
    if pixels > _MOST_RLE_PIXELS:
        return f"{pixels:,} run-length encoded pixels"
    # At most one run per pixel and one end per line.
    if len(data) > 2 * (pixels + abs(height)) + _MOST_SPARE_BYTES:
        return "more data than its pixels need"
    return ""


def _tiff_excess(data: bytes) -> str:
    held, tile = 0, {}
    for number, (tag, kind, count, place) in enumerate(_tiff_tags(data)):
        if number == _MOST_TIFF_TAGS:
            return f"more than {_MOST_TIFF_TAGS:,} tags"
        if count > _MOST_TIFF_VALUES and (tag in _TIFF_PLACES or kind not in _TIFF_BYTES):
            return f"a tag of {count:,} values"
        size = count * _TIFF_UNITS.get(kind, 0)
        held += min(size, len(data)) if size > 8 else 0
        if tag in (_TILE_WIDTH, _TILE_LENGTH):
            tile[tag] = place
    if held > len(data) + _SHARED_TAG_BYTES:
        return "tags that hold more than the file"
    width, height = tile.get(_TILE_WIDTH, 0), tile.get(_TILE_LENGTH, 0)
    if width * height > _MOST_TILE_PIXELS:
        return f"tiles of {width}×{height} pixels"
    return ""


def _tiff_tags(data: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Yield (tag, type, count, value or its offset) of the first directory."""
    order = "<" if data[:2] == b"II" else ">"
    big = 43 in data[2:4]
    try:
        (place,) = struct.unpack_from(order + ("Q" if big else "L"), data, 8 if big else 4)
        (entries,) = struct.unpack_from(order + ("Q" if big else "H"), data, place)
        place += 8 if big else 2
        for _ in range(entries):
            tag, kind, count, value = struct.unpack_from(
                order + ("HHQQ" if big else "HHLL"), data, place
            )
            if kind == 3 and count == 1:
                (value,) = struct.unpack_from(f"{order}H", data, place + (12 if big else 8))
            yield tag, kind, count, value
            place += 20 if big else 12
    except (struct.error, OverflowError):
        return
