"""What an image's bytes say before any decoder sees them.

Canvas size, EXIF orientation, and whether the end is missing. Nothing here raises, whatever the
bytes. (`capgen.file_types` recognises the format.)
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"


def canvas_size(file_format: str, data: bytes) -> tuple[int, int] | None:
    """Return the (width, height) in the header of a GIF or WebP file, else None.

    For these formats, Pillow reserves memory while opening a file.
    """
    if file_format == "GIF" and len(data) >= 10:
        width, height = struct.unpack_from("<HH", data, 6)
        return width, height
    if file_format != "WEBP" or len(data) < 30:
        return None
    if data[12:16] == b"VP8X":
        return _uint24(data, 24) + 1, _uint24(data, 27) + 1
    if data[12:16] == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = struct.unpack_from("<HH", data, 26)
    return width & 0x3FFF, height & 0x3FFF


def png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield (type, start, end) of each chunk; the last may end past the data."""
    start = len(_PNG_MAGIC)
    while start + 8 <= len(data):
        end = start + 12 + int.from_bytes(data[start : start + 4], "big")
        kind = data[start + 4 : start + 8]
        yield kind, start, end
        if kind == b"IEND":
            return
        start = end


def is_cut_short(file_format: str, data: bytes) -> bool:
    """Whether a file that failed to decode visibly lacks its end."""
    if file_format == "JPEG":
        return not data.rstrip(b"\0").endswith(b"\xff\xd9")
    if file_format == "PNG":
        return all(kind != b"IEND" for kind, _, end in png_chunks(data) if end <= len(data))
    if file_format == "GIF":
        return not data.rstrip(b"\0").endswith(b";")
    if file_format == "WEBP":
        return 8 + int.from_bytes(data[4:8], "little") > len(data)
    if file_format == "BMP":
        return int.from_bytes(data[2:6], "little") > len(data)
    if file_format in ("AVIF", "HEIF"):
        return _boxes_end(data) > len(data)
    return False


def _boxes_end(data: bytes) -> int:
    """Return where the last box of an ISO media file should end."""
    start = 0
    while start + 8 <= len(data):
        size = int.from_bytes(data[start : start + 4], "big")
        if size == 1:
            size = int.from_bytes(data[start + 8 : start + 16], "big")
        if size < 8:
            return len(data)  # 0: the box runs to the end
        start += size
    return start


def _uint24(data: bytes, start: int) -> int:
    return int.from_bytes(data[start : start + 3], "little")
