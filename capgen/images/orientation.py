"""Which way up an image is: in its EXIF data, or else in its XMP or in ImageMagick's profile."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator

from capgen.images.headers import png_chunks
from capgen.images.jpeg_structure import jpeg_app1

_TAG = 0x0112
_XMP_SEGMENT = b"http://ns.adobe.com/xap/1.0/\0"
_XMP_CHUNK = b"XML:com.adobe.xmp\0"
_XMP_ORIENTATION = re.compile(rb"tiff:Orientation\s*(?:=\s*[\"']|>)\s*([1-8])\s*[\"'<]")
# "\nexif\n  LENGTH\n" and hexadecimal digits.
_PROFILE = re.compile(rb"Raw profile type (?:exif|APP1)\0")
_PROFILE_HEADER = re.compile(rb"\s*\w+\s+\d+\s")
# Compressed texts may unpack to any size.
_MOST_PROFILE_BYTES = 1 << 20


def exif_orientation(exif: bytes) -> int | None:
    """Return the orientation 1..8 in EXIF data, or None if it is absent or broken.

    Pillow's own reader parses every tag, warns about broken ones and fails on some; no image
    should be lost because of its metadata.
    """
    while exif.startswith(b"Exif\0\0"):
        exif = exif[6:]
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        return None
    try:
        (start,) = struct.unpack_from(f"{order}L", exif, 4)
        (count,) = struct.unpack_from(f"{order}H", exif, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind = struct.unpack_from(f"{order}HH", exif, entry)
            if tag == _TAG:
                # SHORT, as in the standard, or LONG, as some writers use.
                (value,) = struct.unpack_from(order + ("L" if kind == 4 else "H"), exif, entry + 8)
                return value if 1 <= value <= 8 else None
    except struct.error:
        pass
    return None


def orientation_beside_exif(file_format: str, data: bytes) -> int | None:
    """Return the orientation that only XMP or an ImageMagick profile has, or None.

    Args:
        file_format: Pillow's name of the format.
        data: The file.
    """
    for profile in _profiles(file_format, data):
        value = exif_orientation(profile)
        if value is not None:
            return value
    for packet in _xmp_packets(file_format, data):
        found = _XMP_ORIENTATION.search(packet)
        if found:
            return int(found[1])
    return None


def exif_of(orientation: int) -> bytes:
    """Return EXIF data that hold an orientation and nothing else."""
    return b"Exif\0\0II*\0" + struct.pack("<LHHHLHHL", 8, 1, _TAG, 3, 1, orientation, 0, 0)


def _xmp_packets(file_format: str, data: bytes) -> Iterator[bytes]:
    if file_format == "JPEG":
        yield from (part for part in jpeg_app1(data) if part.startswith(_XMP_SEGMENT))
    elif file_format == "PNG":
        for kind, start, end in png_chunks(data):
            if kind == b"iTXt" and data.startswith(_XMP_CHUNK, start + 8):
                yield data[start + 8 : end]
    elif file_format == "WEBP":
        place = 12
        while place + 8 <= len(data):
            size = int.from_bytes(data[place + 4 : place + 8], "little")
            if data[place : place + 4] == b"XMP ":
                yield data[place + 8 : place + 8 + size]
            place += 8 + size + size % 2


def _profiles(file_format: str, data: bytes) -> Iterator[bytes]:
    """Yield the EXIF data that ImageMagick writes into PNGs as text."""
    if file_format != "PNG":
        return
    for kind, start, end in png_chunks(data):
        if kind not in (b"tEXt", b"zTXt"):
            continue
        name = _PROFILE.match(data, start + 8)
        if name is None:
            continue
        text = data[name.end() : end - 4]
        try:
            if kind == b"zTXt":
                text = zlib.decompressobj().decompress(text[1:], _MOST_PROFILE_BYTES)
            header = _PROFILE_HEADER.match(text)
            if header is not None:
                yield bytes.fromhex(text[header.end() :].decode("ascii"))
        except (zlib.error, ValueError):  # a broken text, like any other comment
            continue
