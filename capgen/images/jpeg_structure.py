"""The segments and scans of a JPEG, and what they cost a decoder, read without decoding.

Nothing here raises, whatever the bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice

# libtiff's limit for JPEGs within TIFFs. Encoders write about ten scans.
MOST_SCANS = 100
# Images have dozens of segments, or hundreds with a depth map or a long XMP packet.
_MOST_SEGMENTS = 10_000
# Pillow reads meaningless bytes between segments in Python.
_MOST_PADDING = 1 << 20

END, SCAN, RESTARTS = 0xD9, 0xDA, 0xDD
# Frames of the usual kinds: baseline, extended and progressive, all in Huffman coding.
_BASELINE, _EXTENDED, PROGRESSIVE = 0xC0, 0xC1, 0xC2
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_COM, _APP0, _APP1, _APP14, _APP15 = 0xFE, 0xE0, 0xE1, 0xEE, 0xEF
_EXIF = b"Exif\0\0"
_MARKER = re.compile(rb"\xff([^\x00\xff])")
# The same among compressed pixels, which may have millions of restart markers.
_MARKER_IN_SCAN = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])")
# Markers followed by a length: frames, tables, scans, application data, comments.
_WITH_LENGTH = {*range(0xC0, 0xD0), *range(0xDA, 0xDE), *range(_APP0, _APP15 + 1), _COM} - {0xC8}

Segment = tuple[int, int, int]


def jpeg_exif(data: bytes) -> bytes:
    r"""Return the EXIF data of a JPEG with its `Exif\0\0`, or b""."""
    return next((part for part in jpeg_app1(data) if part.startswith(_EXIF)), b"")


def jpeg_app1(data: bytes) -> Iterator[bytes]:
    """Yield the APP1 segments of a JPEG, which hold its EXIF data and its XMP."""
    for marker, start, end in _segments(data):
        if marker == _APP1:
            yield data[start + 4 : end]


def jpeg_metadata(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield (start, end) of the parts before the first scan that an image does not need."""
    place = 2
    for marker, start, end in _segments(data):
        # JFIF and Adobe's segment (APP0, APP14) say how colours are stored.
        if marker == _COM or (_APP1 <= marker <= _APP15 and marker != _APP14):
            yield place, end
        elif start > place:  # padding
            yield place, start
        place = end


def jpeg_excess(data: bytes) -> str:
    """Return what a JPEG has too much of to be decoded in reasonable time, or ""."""
    segments = list(islice(_segments(data), _MOST_SEGMENTS + 1))
    if len(segments) > _MOST_SEGMENTS:
        return f"more than {_MOST_SEGMENTS:,} segments before its pixels"
    ends = [2, *(end for _, _, end in segments)]
    starts = [start for _, start, _ in segments]
    if not segments or segments[-1][0] != SCAN:
        starts.append(len(data))
    padding = sum(max(0, start - end) for start, end in zip(starts, ends, strict=False))
    if padding > _MOST_PADDING:
        return f"{padding:,} bytes between its segments"
    if not _one_scan(data, segments) and next(islice(_scans(data), MOST_SCANS, None), None):
        return f"more than {MOST_SCANS} scans"
    return ""


def jpeg_parts(data: bytes) -> Iterator[Segment]:
    """Yield (marker, start, end) of what the first image of a JPEG has, its end included.

    A scan's `end` is that of its header; its pixels reach to the next part. Like libjpeg, this
    skips unknown markers.
    """
    place = 2
    while found := _MARKER_IN_SCAN.search(data, place):
        marker, place = found[1][0], found.end()
        if marker in _WITH_LENGTH:
            place += int.from_bytes(data[place : place + 2], "big")
        yield marker, found.start(), place
        if marker == END:
            return


def _scans(data: bytes) -> Iterator[int]:
    """Yield the offset of each scan of the first image."""
    return (start for marker, start, _ in jpeg_parts(data) if marker == SCAN)


def _segments(data: bytes) -> Iterator[Segment]:
    """Yield (marker, start, end) of each segment with a length, up to the first scan."""
    place = 2
    while found := _MARKER.search(data, place):
        marker, place = found[1][0], found.end()
        if marker in _WITH_LENGTH:
            length = max(2, int.from_bytes(data[place : place + 2], "big"))
            if place + length > len(data):
                return
            yield marker, found.start(), place + length
            if marker == SCAN:
                return
            place += length


def _one_scan(data: bytes, segments: Sequence[Segment]) -> bool:
    """Whether libjpeg decodes the first scan only, which then holds all components.

    Most JPEGs are of this kind, and looking for scans among megabytes of pixels takes time.
    """
    frames = [(marker, start) for marker, start, _ in segments if marker in FRAMES]
    if len(frames) != 1 or segments[-1][0] != SCAN:
        return False
    (marker, frame), scan = frames[0], segments[-1][1]
    # The number of components follows size and precision in a frame; in a scan, it comes first.
    components = data[frame + 9 : frame + 10]
    return marker in (_BASELINE, _EXTENDED) and components == data[scan + 4 : scan + 5] != b""
