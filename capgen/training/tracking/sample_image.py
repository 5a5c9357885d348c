"""Small copies of validation images, for trackers that show them."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from capgen.errors import ImageError
from capgen.images.load import load_image
from capgen.images.thumbnails import shrunk

_SIDE = 320  # longest side in pixels


def sample_image(path: str) -> Image.Image | None:
    """Return a small copy of an image, or None if it must not be shown or cannot be read."""
    if not path:
        return None
    try:
        return shrunk(load_image(Path(path), size_hint=(_SIDE, _SIDE)).image, _SIDE)
    except ImageError:
        return None
