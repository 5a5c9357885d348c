"""The number of images in a file, and the size in its header, without decoding any."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from capgen.config import ImageLimits
from capgen.errors import ImageError
from capgen.file_types import sniff
from capgen.images.headers import png_chunks
from capgen.images.load import DEFAULT_LIMITS, read_file
from capgen.images.opening import open_image

# Counting ends here: a file of megabytes can hold millions of images.
MOST_FRAMES = 1000
# Enough for the header of most images.
_HEAD_BYTES = 1 << 18
_HEADER_FIRST = ("JPEG", "PNG", "GIF", "BMP")


@dataclass(frozen=True)
class ImageHeader:
    """The header of an image file: Pillow's name of the format, and the stored size in pixels."""

    format: str
    width: int
    height: int


def read_header(path: Path, *, limits: ImageLimits = DEFAULT_LIMITS) -> ImageHeader:
    """Return the header of an image file without decoding the image, or raise ImageError."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError:
        head = b""  # `read_file` says why
    if sniff(head).format in _HEADER_FIRST:
        try:
            return _header(head, path.name, limits)
        except ImageError:
            pass  # long metadata may come before it
    return _header(read_file(os.fspath(path), path.name, limits), path.name, limits)


def _header(data: bytes, name: str, limits: ImageLimits) -> ImageHeader:
    image = open_image(data, name, limits)
    return ImageHeader(str(image.format), *image.size)


def count_frames(data: bytes, name: str, *, limits: ImageLimits = DEFAULT_LIMITS) -> int:
    """Return the number of images in a file, at most `MOST_FRAMES`."""
    file_format = sniff(data).format
    if file_format == "PNG":
        frames = _apng_frames(data)
    elif file_format in ("GIF", "TIFF"):
        places = _gif_frames(data) if file_format == "GIF" else _tiff_pages(data)
        frames = sum(1 for _ in islice(places, MOST_FRAMES))
    else:
        frames = int(getattr(open_image(data, name, limits), "n_frames", 1))
    return min(MOST_FRAMES, max(1, frames))


def _apng_frames(data: bytes) -> int:
    for kind, start, end in png_chunks(data):
        if kind == b"acTL" and end - start >= 16:
            return int.from_bytes(data[start + 8 : start + 12], "big")
        if kind == b"IDAT":
            break
    return 1


def _gif_frames(data: bytes) -> Iterator[int]:
    """Yield the offset of each image in a GIF."""
    place = 13 + _palette(data, 10)
    while place < len(data) and data[place] != 0x3B:
        if data[place] == 0x2C:
            yield place
            place += 10 + _palette(data, place + 9) + 1
        else:
            place += 2
        while place < len(data) and data[place]:
            place += 1 + data[place]
        place += 1


def _palette(data: bytes, flags_at: int) -> int:
    flags = data[flags_at] if flags_at < len(data) else 0
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _tiff_pages(data: bytes) -> Iterator[int]:
    """Yield the offset of each directory in a TIFF."""
    order = "<" if data[:2] == b"II" else ">"
    big = 43 in data[2:4]
    offset, count, entry = ("Q", "Q", 20) if big else ("L", "H", 12)
    seen: set[int] = set()
    try:
        (place,) = struct.unpack_from(order + offset, data, 8 if big else 4)
        while place and place not in seen:
            (entries,) = struct.unpack_from(order + count, data, place)
            seen.add(place)
            yield place
            following = place + struct.calcsize(order + count) + entry * entries
            (place,) = struct.unpack_from(order + offset, data, following)
    except (struct.error, OverflowError):
        return
