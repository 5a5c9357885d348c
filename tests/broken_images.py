"""Small files that make decoders fail or toil, made byte by byte."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Mapping

from PIL import Image

_TIFF_FORMATS = {1: "B", 3: "H", 4: "L", 9: "l", 11: "f", 12: "d", 16: "Q"}


def encoded(file_format: str, **options: object) -> bytes:
    """Return an image of 24 × 16 pixels in one of Pillow's formats."""
    buffer = io.BytesIO()
    image = Image.linear_gradient("L").resize((24, 16)).convert("RGB")
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def png_chunk(kind: bytes, data: bytes) -> bytes:
    """Return a chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_without_palette() -> bytes:
    """Return a palette PNG of one pixel that has no PLTE chunk."""
    return (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 3, 0, 0, 0))
        + png_chunk(b"IDAT", zlib.compress(b"\0\0"))
        + png_chunk(b"IEND", b"")
    )


def tiff(changes: Mapping[int, tuple[int, float]] | None = None) -> bytes:
    """Return an uncompressed grey TIFF of 4 × 4 pixels.

    Args:
        changes: Tags to set or add: the number of the type, and the value.
    """
    tags: dict[int, tuple[int, float]] = {256: (3, 4), 257: (3, 4), 258: (3, 8), 259: (3, 1)}
    tags |= {262: (3, 1), 273: (4, 0), 277: (3, 1), 278: (3, 4), 279: (4, 16)}
    tags |= changes or {}
    pixels_at = 8 + 2 + 12 * len(tags) + 4
    if 273 not in (changes or {}):
        tags[273] = (4, pixels_at)
    entries, behind = b"", bytes(range(16))
    for tag, (kind, value) in sorted(tags.items()):
        content = struct.pack("<" + _TIFF_FORMATS[kind], value)
        if len(content) > 4:
            behind, content = behind + content, struct.pack("<L", pixels_at + len(behind))
        entries += struct.pack("<HHL", tag, kind, 1) + content.ljust(4, b"\0")
    return b"II*\0" + struct.pack("<LH", 8, len(tags)) + entries + bytes(4) + behind


def jpeg_with_scans(scans: int, *, between: bytes = b"") -> bytes:
    """Return a progressive JPEG whose first scan is there many times.

    Args:
        scans: How many scans.
        between: What lies between two of them.
    """
    data = encoded("JPEG", progressive=True)
    start = data.index(b"\xff\xda")
    # The next thing that is neither an escaped 0xff nor a restart marker.
    end = start + 2
    while data[end] != 0xFF or data[end + 1] == 0 or 0xD0 <= data[end + 1] <= 0xD7:
        end += 1
    scan = data[start:end]
    return data[:start] + between.join([scan] * scans) + b"\xff\xd9"


def webp_chunks(*chunks: tuple[bytes, bytes]) -> bytes:
    """Return a WebP file of these chunks."""
    body = b"".join(
        kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)
        for kind, data in chunks
    )
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body
