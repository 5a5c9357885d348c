"""The losses of JPEG and WebP, on the device: images as they come back from a lossy file.

Both codecs cut luma, and colour at half the resolution, into square blocks, take each block's
cosine transform and round its coefficients to multiples of steps. Only this is computed, since
packing the numbers loses nothing. JPEG is exact except for rounding inside codecs. WebP's
prediction from neighbouring blocks, its loop filter and its choice of steps for each part of an
image are left out.

Sources: ITU-T T.81, annex K (JPEG's tables), scaled for a quality as the Independent JPEG
Group's `jpeg_set_quality` does; RFC 6386, section 14.1 (WebP's steps), for a quality as
libwebp chooses them.
"""

from __future__ import annotations

import math
from functools import cache
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

# Whole blocks of colour, at half the resolution, need multiples of this side.
_UNIT = 16
# Rows are vertical frequencies.
_LUMA = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
_COLOUR = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *((99,) * 8,) * 4,
)
# RFC 6386's steps of luma by index are, within 1, on straight lines between these.
_WEBP_INDEX = (0, 54, 83, 102, 116, 127)
_WEBP_STEP = (4, 58, 116, 173, 229, 284)


def compress(pixels: Tensor, quality: Tensor, webp: Tensor) -> Tensor:
    """Return images as they come back from a lossy file, colour at half the resolution.

    Args:
        pixels: float32 (B, 3, H, W) in 0..255.
        quality: float32 (B,), each image's quality in 1..100.
        webp: bool (B,), the images that go through WebP; the others go through JPEG.

    Returns:
        The same shape, whole numbers in 0..255.
    """
    height, width = pixels.shape[2:]
    # Codecs, too, fill the last blocks by repeating the edge.
    filled = F.pad(pixels, (0, -width % _UNIT, 0, -height % _UNIT), mode="replicate")
    luma, colour = _luma_and_colour(filled)
    bases, tables, flat = _constants(pixels.device)
    jpeg = (tables * _jpeg_percent(quality.round()).view(-1, 1, 1) + 50) / 100
    steps = torch.where(
        webp.view(-1, 1, 1), flat * _webp_step(quality).view(-1, 1, 1), jpeg.floor().clamp(1, 255)
    )
    bases = bases[webp.long()]
    luma = _rounded(luma, bases, steps[:, :1])
    colour = _rounded(colour, bases, steps[:, 1:])
    colour = F.interpolate(colour, scale_factor=2, mode="bilinear", align_corners=False).round()
    return _red_green_blue(luma, colour)[:, :, :height, :width]


def _rounded(planes: Tensor, bases: Tensor, steps: Tensor) -> Tensor:
    """Round the coefficients of each block of 8×8 values to multiples of the steps.

    Args:
        planes: (B, C, H, W) in 0..255, H and W multiples of 8.
        bases: (B, 64, 64), the transform of each image's blocks; orthonormal.
        steps: (B, 1, 64).
    """
    batch, channels, height, width = planes.shape
    split = (batch, channels, height // 8, 8, width // 8, 8)
    blocks = (planes - 128).view(split).transpose(3, 4).reshape(batch, -1, 64)
    coefficients = ((blocks @ bases.mT) / steps).round() * steps
    blocks = (coefficients @ bases).view(batch, channels, height // 8, width // 8, 8, 8)
    return (blocks.transpose(3, 4).reshape(planes.shape) + 128).round().clamp(0, 255)


@cache
def _constants(device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Return the constants for all images, copied to a device once.

    Returns:
        The bases of JPEG and WebP (2, 64, 64), JPEG's tables for luma and colour (1, 2, 64),
        and WebP's steps for them as multiples of VP8's number (1, 2, 64).
    """
    bases = torch.stack((_basis(8), _basis(4)))
    tables = torch.tensor((_LUMA, _COLOUR)).float().view(1, 2, 64)
    # VP8's transform is twice the orthonormal one, and its luma and colour use 219 and 224
    # of 256 levels. Means of blocks go through a second transform with finer steps.
    ranges = torch.tensor((255 / 219, 255 / 224)).view(1, 2, 1)
    parts = torch.ones(8, 8)
    parts[::4, ::4] = 0.775
    flat = ranges / 2 * parts.view(1, 1, 64)
    return bases.to(device), tables.to(device), flat.to(device)


def _basis(size: int) -> Tensor:
    """Return the cosine transform of an 8×8 block in parts of `size`: (64, 64).

    Rows are coefficients, columns the block's values; size 4 gives four transforms of 4×4.
    """
    place, frequency = torch.arange(size) + 0.5, torch.arange(size).view(-1, 1)
    cosines = torch.cos(math.pi / size * frequency * place) * math.sqrt(2 / size)
    cosines[0] /= math.sqrt(2)
    line = torch.kron(torch.eye(8 // size), cosines)
    return torch.kron(line, line)


def _jpeg_percent(quality: Tensor) -> Tensor:
    """Return JPEG's steps at a quality, in per cent of its tables."""
    return torch.where(quality < 50, (5000 / quality).floor(), 200 - 2 * quality)


def _webp_step(quality: Tensor) -> Tensor:
    """Return VP8's step of luma at libwebp's quality."""
    share = quality / 100
    index = 127 * (1 - torch.where(share < 0.75, share * 2 / 3, 2 * share - 1).pow(1 / 3))
    step = torch.full_like(index, _WEBP_STEP[0])
    for (low, start), (high, end) in pairwise(zip(_WEBP_INDEX, _WEBP_STEP, strict=True)):
        step += ((index - low) / (high - low)).clamp(0, 1) * (end - start)
    return step


def _luma_and_colour(pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Return luma (B, 1, H, W) and colour (B, 2, H/2, W/2) of JFIF, in integers."""
    red, green, blue = pixels.round().chunk(3, dim=1)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    colour = torch.cat(((blue - luma) / 1.772, (red - luma) / 1.402), dim=1) + 128
    return luma.round(), F.avg_pool2d(colour.round().clamp(0, 255), 2).round()


def _red_green_blue(luma: Tensor, colour: Tensor) -> Tensor:
    """Return images (B, 3, H, W) in integers from luma and colour of the same size."""
    blueness, redness = (colour - 128).chunk(2, dim=1)
    green = luma - 0.344136 * blueness - 0.714136 * redness
    pixels = torch.cat((luma + 1.402 * redness, green, luma + 1.772 * blueness), dim=1)
    return pixels.round().clamp(0, 255)
