"""Captions inside image files: EXIF, IPTC and XMP, changed without touching pixels.

Everything here takes and gives bytes, and raises `Unwritable` for what it had better not touch.
"""

from __future__ import annotations


class Unwritable(Exception):  # noqa: N818 (a finding, not a fault)
    """The file cannot take a caption without a risk to what is in it; says why."""
