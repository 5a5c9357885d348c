"""Small copies of validation images, for trackers that show them."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from capgen.errors import ImageError
from capgen.images.load import load_image
from capgen.images.thumbnails import shrunk

_SIDE = 320  # longest side in pixels


def sample_image(path: Path) -> Image.Image | None:
    """Return a small copy of an image, or None if it cannot be read."""
    try:
        return shrunk(load_image(path, size_hint=(_SIDE, _SIDE)).image, _SIDE)
    except ImageError:
        return None
