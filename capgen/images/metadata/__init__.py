"""Captions inside image files: EXIF, IPTC and XMP, changed without touching pixels.

Modules for a file format (`jpeg`, `png`, `webp`, `tiff`) split a file into pieces and find and
replace the blocks of metadata in these; modules for a kind of metadata (`exif`, `iptc`, `xmp`)
read and write captions in such a block, and `blocks` in all of them together. All work on bytes
and raise `Unwritable` for a file or block that is damaged, or that a caption might damage.
"""

from __future__ import annotations

from collections.abc import Callable

# C2PA: signed hashes of the file, and so a caption would make its origin doubtful.
CREDENTIALS = "it has Content Credentials, which would not match the changed file"


class Unwritable(Exception):  # noqa: N818 (a finding, not a fault)
    """The file cannot take a caption without a risk to its content; the message says why."""


def put(
    parts: list[bytes], piece: bytes, is_same: Callable[[bytes], bool], place: int
) -> list[bytes]:
    """Return the pieces with `piece` instead of the same kind of piece, else at `place`."""
    for index, part in enumerate(parts[1:-1], 1):
        if is_same(part):
            return [*parts[:index], piece, *parts[index + 1 :]]
    return [*parts[:place], piece, *parts[place:]]
