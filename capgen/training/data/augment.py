"""Augmentation on the device: random crops, mirroring, colour, rescaling and compression.

Each image of a batch is varied in its own way. After the crop it may be rescaled and compressed,
like images that were stored small and with losses.

Source: Szegedy et al., "Going deeper with convolutions" (2015), for crops by area and
aspect; the colour changes are the usual brightness, contrast and saturation.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from capgen.config import TrainConfig
from capgen.training.data.lossy_compression import compress
from capgen.training.data.rescaling import BICUBIC, BILINEAR, BOX, enlarge, shrink

# Rescaled images keep at least this share of their sides.
_SMALLEST = 0.5
_BEST_QUALITY = 95.0
_WEBP_SHARE = 0.5


def augment(pixels: Tensor, config: TrainConfig, generator: Generator) -> Tensor:
    """Return a random variation of each image.

    Args:
        pixels: float32 (B, 3, H, W) in 0..255.
        config: Strengths.
        generator: On the device of `pixels`.

    Returns:
        The same shape and range.
    """
    pixels = F.grid_sample(
        pixels,
        F.affine_grid(_crops(pixels, config, generator), list(pixels.shape), align_corners=False),
        mode="bilinear",
        padding_mode="border",
        align_corners=False,
    )
    if config.color_jitter:
        pixels = _color(pixels, config.color_jitter, generator)
    return _stored(pixels, config, generator)


def _stored(pixels: Tensor, config: TrainConfig, generator: Generator) -> Tensor:
    """Shrink some images, compress some, and restore the size."""
    if config.rescale:
        rows, on = _chosen(pixels, config.rescale, generator)
        draws = torch.rand(3, len(rows), device=pixels.device, generator=generator)
        share = torch.where(on, _SMALLEST + (1 - _SMALLEST) * draws[0], 1.0)
        down, up = _pick(draws[1], BOX, BICUBIC), _pick(draws[2], BILINEAR, BICUBIC)
        pixels = pixels.index_copy(0, rows, shrink(pixels[rows], share, down))
    if config.compression:
        pixels = _compressed(pixels, config, generator)
    if config.rescale:
        pixels = pixels.index_copy(0, rows, enlarge(pixels[rows], share, up))
    return pixels


def _compressed(pixels: Tensor, config: TrainConfig, generator: Generator) -> Tensor:
    """Compress some images, each with its own codec and quality."""
    rows, on = _chosen(pixels, config.compression, generator)
    draws = torch.rand(2, len(rows), device=pixels.device, generator=generator)
    quality = torch.lerp(
        torch.full_like(draws[0], config.compression_quality),
        torch.full_like(draws[0], _BEST_QUALITY),
        draws[0],
    )
    before = pixels[rows]
    after = compress(before, quality, draws[1] < _WEBP_SHARE)
    return pixels.index_copy(0, rows, torch.where(on.view(-1, 1, 1, 1), after, before))


def _chosen(pixels: Tensor, share: float, generator: Generator) -> tuple[Tensor, Tensor]:
    """Draw images, each with the probability `share`.

    The number of rows depends on the batch size alone, so that nothing waits for the device.

    Returns:
        Rows of the batch, int64 (K,), and which of them are drawn, bool (K,).
    """
    batch = len(pixels)
    count = math.ceil(share * batch)
    draws = torch.rand(2, batch, device=pixels.device, generator=generator)
    rows = draws[0].argsort(stable=True)[:count]
    return rows, draws[1, :count] < share * batch / max(count, 1)


def _pick(draws: Tensor, first: int, last: int) -> Tensor:
    """Turn numbers in 0..1 into integers from `first` to `last`."""
    return first + (draws * (last - first + 1)).long().clamp(max=last - first)


def _crops(pixels: Tensor, config: TrainConfig, generator: Generator) -> Tensor:
    """Return the affine maps (B, 2, 3) from output to input, coordinates in -1..1."""
    batch, device = pixels.shape[0], pixels.device

    def uniform(low: float, high: float) -> Tensor:
        return torch.empty(batch, device=device).uniform_(low, high, generator=generator)

    area = uniform(config.crop_area, 1.0)
    stretch = math.log(config.crop_aspect)
    aspect = uniform(-stretch, stretch).exp()
    width = (area * aspect).sqrt().clamp(max=1.0)
    height = (area / aspect).sqrt().clamp(max=1.0)
    maps = torch.zeros(batch, 2, 3, device=device)
    mirror = uniform(-1.0, 1.0).sign() if config.flip else 1.0
    maps[:, 0, 0] = width * mirror
    maps[:, 1, 1] = height
    maps[:, 0, 2] = uniform(-1.0, 1.0) * (1 - width)
    maps[:, 1, 2] = uniform(-1.0, 1.0) * (1 - height)
    return maps


def _color(pixels: Tensor, strength: float, generator: Generator) -> Tensor:
    """Change brightness, contrast and saturation of each image, then clip."""
    factors = torch.empty(3, pixels.shape[0], 1, 1, 1, device=pixels.device)
    brightness, contrast, saturation = factors.uniform_(
        1 - strength, 1 + strength, generator=generator
    )
    pixels = pixels * brightness
    pixels = torch.lerp(_grey(pixels).mean((2, 3), keepdim=True), pixels, contrast)
    return torch.lerp(_grey(pixels), pixels, saturation).clamp(0, 255)


def _grey(pixels: Tensor) -> Tensor:
    """Return the luma of ITU-R BT.601, (B, 1, H, W), as in Pillow's conversion to grey."""
    red, green, blue = pixels.chunk(3, dim=1)
    return 0.299 * red + 0.587 * green + 0.114 * blue
