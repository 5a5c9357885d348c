"""Compares a file that has new metadata with the old file, before replacing that."""

from __future__ import annotations

import numpy as np

from capgen.config import ImageLimits
from capgen.errors import ImageError
from capgen.images.load import LoadedImage, load_image
from capgen.images.metadata import Unwritable


def check_same_image(old: bytes, new: bytes, limits: ImageLimits) -> None:
    """Decode both files; raise Unwritable if their sizes or any pixels differ."""
    before, after = _decoded(old, limits), _decoded(new, limits)
    same = (before.format, before.image.size) == (after.format, after.image.size)
    if not same or not np.array_equal(np.asarray(before.image), np.asarray(after.image)):
        raise Unwritable("its pixels would change")


def _decoded(data: bytes, limits: ImageLimits) -> LoadedImage:
    try:
        return load_image(data, limits=limits, name="it")
    except ImageError as error:
        raise Unwritable(f"it cannot be decoded ({error.message.removeprefix('it: ')})") from error
