"""What the bytes of a file say about it before any decoder sees them.

Formats by their magic bytes (names of files lie), canvas sizes, EXIF orientation, and
whether the end is missing. Nothing here raises, whatever the bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

_ORIENTATION_TAG = 0x0112
_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Sniffed:
    """What a file is.

    Attributes:
        format: Pillow's name of the format, or None for what capgen cannot decode.
        description: The same for people, with an article ("a PDF document").
        picture: Whether it is a picture of some kind.
    """

    format: str | None
    description: str
    picture: bool


_MAGIC: tuple[tuple[bytes, Sniffed], ...] = (
    (b"\xff\xd8\xff", Sniffed("JPEG", "a JPEG picture", True)),
    (_PNG_MAGIC, Sniffed("PNG", "a PNG picture", True)),
    (b"GIF87a", Sniffed("GIF", "a GIF picture", True)),
    (b"GIF89a", Sniffed("GIF", "a GIF picture", True)),
    (b"II*\0", Sniffed("TIFF", "a TIFF picture", True)),
    (b"MM\0*", Sniffed("TIFF", "a TIFF picture", True)),
    (b"II+\0", Sniffed("TIFF", "a BigTIFF picture", True)),
    (b"MM\0+", Sniffed("TIFF", "a BigTIFF picture", True)),
    (b"BM", Sniffed("BMP", "a BMP picture", True)),
    (b"\xff\x0a", Sniffed(None, "a JPEG XL picture", True)),
    (b"\0\0\0\x0cJXL ", Sniffed(None, "a JPEG XL picture", True)),
    (b"\0\0\0\x0cjP  ", Sniffed(None, "a JPEG 2000 picture", True)),
    (b"\xff\x4f\xff\x51", Sniffed(None, "a JPEG 2000 picture", True)),
    (b"II\xbc\x01", Sniffed(None, "a JPEG XR picture", True)),
    (b"8BPS", Sniffed(None, "a Photoshop document", True)),
    (b"\0\0\1\0", Sniffed(None, "a Windows icon", True)),
    (b"qoif", Sniffed(None, "a QOI picture", True)),
    (b"\x76\x2f\x31\x01", Sniffed(None, "an OpenEXR picture", True)),
    (b"#?RADIANCE", Sniffed(None, "a Radiance HDR picture", True)),
    (b"FUJIFILMCCD-RAW", Sniffed(None, "a camera raw file", True)),
    (b"IIU\0", Sniffed(None, "a camera raw file", True)),
    (b"IIRO", Sniffed(None, "a camera raw file", True)),
    (b"%PDF-", Sniffed(None, "a PDF document", False)),
    (b"%!PS", Sniffed(None, "a PostScript document", False)),
    (b"PK\3\4", Sniffed(None, "a ZIP archive or office document", False)),
    (b"\x1f\x8b", Sniffed(None, "a gzip archive", False)),
    (b"\x1a\x45\xdf\xa3", Sniffed(None, "a video", False)),
    (b"\x7fELF", Sniffed(None, "a program", False)),
    (b"version https://git-lfs", Sniffed(None, "a Git LFS pointer, not its picture", False)),
)


def sniff(data: bytes) -> Sniffed:
    """Return what `data`, the whole or the first kilobyte of a file, is."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return Sniffed("WEBP", "a WebP picture", True)
    if data[4:8] == b"ftyp":
        return _sniff_iso(data)
    for magic, sniffed in _MAGIC:
        if data.startswith(magic):
            return sniffed
    if data[:1] == b"P" and data[1:2] in b"1234567" and data[2:3] in b" \t\r\n":
        return Sniffed(None, "a PPM picture", True)
    return _sniff_text(data[:1024])


def _sniff_iso(data: bytes) -> Sniffed:
    """Tell AVIF, HEIF, camera raw and video apart by the brands of an ISO media file."""
    length = max(16, min(int.from_bytes(data[:4], "big"), 256))
    # The minor version lies between the major brand and the compatible ones.
    brands = {data[8:12], *(data[start : start + 4] for start in range(16, length, 4))}
    if brands & {b"avif", b"avis"}:
        return Sniffed("AVIF", "an AVIF picture", True)
    if brands & {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}:
        return Sniffed("HEIF", "a HEIC picture", True)
    if b"crx " in brands:
        return Sniffed(None, "a camera raw file", True)
    return Sniffed(None, "a video", False)


def _sniff_text(head: bytes) -> Sniffed:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = head.decode("utf-16", errors="replace")
    else:
        # A character cut in two at the end does not make it binary.
        text = head.decode("utf-8-sig", errors="ignore")
        if len(text.encode()) < len(head) - 6:
            return Sniffed(None, "an unknown kind of file", False)
    if any(ord(character) < 32 and character not in "\t\n\r\f" for character in text):
        return Sniffed(None, "an unknown kind of file", False)
    start = text.lstrip().lower()
    if "<svg" in start:
        return Sniffed(None, "an SVG drawing", True)
    if start.startswith(("<!doctype html", "<html")):
        return Sniffed(None, "a web page", False)
    return Sniffed(None, "text", False)


def canvas_size(file_format: str, data: bytes) -> tuple[int, int] | None:
    """Return the (width, height) in the header of a GIF or WebP file.

    These are the formats for which Pillow reserves memory while opening. None for others,
    and when the header is broken.
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


def exif_orientation(exif: bytes) -> int:
    """Return the orientation 1..8 in EXIF data; 1 (upright) when absent or broken.

    Pillow's own reader parses every tag, warns about broken ones and fails on some; a
    picture is not to be lost over its metadata.
    """
    while exif.startswith(b"Exif\0\0"):
        exif = exif[6:]
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(f"{order}L", exif, 4)
        (count,) = struct.unpack_from(f"{order}H", exif, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind = struct.unpack_from(f"{order}HH", exif, entry)
            if tag == _ORIENTATION_TAG:
                # SHORT, as the standard has it, or the LONG that some writers use.
                (value,) = struct.unpack_from(order + ("L" if kind == 4 else "H"), exif, entry + 8)
                return value if 1 <= value <= 8 else 1
    except struct.error:
        return 1
    return 1


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
    """Whether the end of a file that failed to decode is missing, as far as can be seen."""
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
