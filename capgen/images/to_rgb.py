"""Any mode, depth and orientation to upright 8-bit RGB."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_TRANSPOSES = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# Pixels converted at a time.
_BLOCK_PIXELS = 1 << 20

logger = logging.getLogger(__name__)


class ConversionError(ValueError):
    """Pillow cannot convert this mode, palette or transparency to RGB."""


def upright(image: Image.Image, orientation: int) -> Image.Image:
    """Return `image` rotated or flipped according to its EXIF orientation (1..8)."""
    transpose = _TRANSPOSES.get(orientation)
    return image if transpose is None else image.transpose(transpose)


def to_rgb(image: Image.Image) -> Image.Image:
    """Return `image` as 8-bit RGB, with transparency on white.

    16-bit greys are divided by 257. 32-bit integers and floats have no fixed range: it is the
    first of 0..1 (floats only), 0..255 and 0..65535 that holds all values, else their minimum
    to maximum, as in viewers of scientific images. NaN becomes black, infinities the ends of
    the range. Raises ConversionError for modes that Pillow cannot convert (LAB, say).
    """
    if image.mode.startswith("I;16"):
        return _from_16_bit(image).convert("RGB")
    if image.mode in ("I", "F"):
        return _from_numbers(image).convert("RGB")
    with _converting():
        if image.mode in ("La", "RGBa"):  # premultiplied
            image = image.convert({"La": "LA", "RGBa": "RGBA"}[image.mode])
        if not image.has_transparency_data:
            return image if image.mode == "RGB" else image.convert("RGB")
        colours = image if image.mode == "RGBA" else image.convert("RGBA")
    white = Image.new("RGB", image.size, "white")
    white.paste(colours, mask=colours.getchannel("A"))
    return white


@contextmanager
def _converting() -> Iterator[None]:
    """Turn any exception of Pillow's conversions into ConversionError."""
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:
        logger.debug("Pillow cannot convert the pixels", exc_info=True)
        raise ConversionError(str(error) or type(error).__name__) from error


def _blocks(image: Image.Image) -> Iterator[tuple[tuple[int, int], NDArray[Any]]]:
    """Yield (left, top) and values of pieces, to save memory."""
    width, height = image.size
    across = min(width, _BLOCK_PIXELS)
    down = max(1, _BLOCK_PIXELS // across)
    for top in range(0, height, down):
        for left in range(0, width, across):
            box = (left, top, min(left + across, width), min(top + down, height))
            yield (left, top), np.asarray(image.crop(box))


def _from_16_bit(image: Image.Image) -> Image.Image:
    transparent = image.info.get("transparency")
    grey = Image.new("L", image.size)
    for place, values in _blocks(image):
        greys = _eight_bits(values)
        if isinstance(transparent, int):
            greys[values == transparent] = 255
        grey.paste(Image.fromarray(greys), place)
    return grey


def _eight_bits(values: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """Return round(values / 257): 0..65535 onto 0..255."""
    table = ((np.arange(65536, dtype=np.uint32) + 128) // 257).astype(np.uint8)
    return np.take(table, values)


def _from_numbers(image: Image.Image) -> Image.Image:
    low, high = _extremes(image)
    tops = (1.0, 255.0, 65535.0) if image.mode == "F" else (255.0, 65535.0)
    if low >= 0:
        low, high = 0.0, next((top for top in tops if high <= top), high)
    grey = Image.new("L", image.size)
    for place, values in _blocks(image):
        scaled = np.nan_to_num(values.astype(np.float64), nan=low, posinf=high, neginf=low)
        scaled -= low
        scaled *= 255 / ((high - low) or 1.0)
        grey.paste(Image.fromarray(np.rint(scaled).astype(np.uint8)), place)
    return grey


def _extremes(image: Image.Image) -> tuple[float, float]:
    """Return the smallest and the largest finite value, zeros if there is none."""
    low, high = math.inf, -math.inf
    for _, values in _blocks(image):
        inside = values[np.isfinite(values)]
        if inside.size:
            low, high = min(low, float(inside.min())), max(high, float(inside.max()))
    return (low, high) if low <= high else (0.0, 0.0)


def from_array(array: NDArray[Any]) -> Image.Image:
    """Return an array as an RGB image.

    Args:
        array: (H, W), (H, W, 1), (H, W, 3) or (H, W, 4 with alpha); uint8, uint16, bool, or
            float within 0..1.

    Raises:
        ValueError: The shape, type or range is another.
    """
    channels = array.shape[2] if array.ndim == 3 else 1
    if array.ndim not in (2, 3) or channels not in (1, 3, 4):
        hint = " (channels go last)" if array.ndim == 3 and array.shape[0] in (1, 3, 4) else ""
        raise ValueError(
            f"an array of shape {array.shape} is not (H, W), (H, W, 1), (H, W, 3) or "
            f"(H, W, 4){hint}"
        )
    if array.size == 0:
        raise ValueError(f"an array of shape {array.shape} has no pixels")
    pixels = _array_bytes(array)
    if channels == 1:
        return Image.fromarray(pixels.reshape(array.shape[:2])).convert("RGB")
    return to_rgb(Image.fromarray(np.ascontiguousarray(pixels)))


def _array_bytes(array: NDArray[Any]) -> NDArray[np.uint8]:
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype == np.uint16:
        return _eight_bits(array)
    if not np.issubdtype(array.dtype, np.floating):
        raise ValueError(f"an array of {array.dtype} is not uint8, uint16, bool or float in 0..1")
    # Resampling leaves values slightly outside.
    low, high = float(array.min()), float(array.max())
    if not (low >= -1e-3 and high <= 1 + 1e-3):
        raise ValueError(f"a float array with values from {low:g} to {high:g} is not within 0..1")
    scaled: NDArray[np.float32] = np.clip(array, 0, 1).astype(np.float32)
    return np.rint(scaled * 255).astype(np.uint8)
