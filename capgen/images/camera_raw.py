"""Telling camera raw files that are TIFFs (DNG, CR2, NEF, ARW, …) from other TIFFs.

Pillow would decode whatever their first directory holds: a full preview in some, a thumbnail of
160 pixels in others, the sensor's values in a third kind.
"""

from __future__ import annotations

import struct

_SUBFILE_TYPE, _PHOTOMETRIC, _SUB_IFDS, _DNG_VERSION = 254, 262, 330, 50706
# PhotometricInterpretation of a colour filter array, and of linear sensor values (TIFF/EP, DNG).
_SENSOR_VALUES = (32803, 34892)
_CR2_MARK = b"CR"


def is_camera_raw(data: bytes) -> bool:
    """Whether a TIFF is a camera raw file, by its first directory."""
    if data[8:10] == _CR2_MARK:
        return True
    tags = _first_directory(data)
    return (
        _DNG_VERSION in tags
        or tags.get(_PHOTOMETRIC) in _SENSOR_VALUES
        # A thumbnail comes first, and the image itself is in a subdirectory.
        or (tags.get(_SUBFILE_TYPE) == 1 and _SUB_IFDS in tags)
    )


def _first_directory(data: bytes) -> dict[int, int]:
    """Return the tags of a TIFF's first directory; values are right for single integers only."""
    order = "<" if data[:2] == b"II" else ">"
    tags = {}
    try:
        (start,) = struct.unpack_from(f"{order}L", data, 4)
        (count,) = struct.unpack_from(f"{order}H", data, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind = struct.unpack_from(f"{order}HH", data, entry)
            (tags[tag],) = struct.unpack_from(order + ("H" if kind == 3 else "L"), data, entry + 8)
    except struct.error:
        pass
    return tags
