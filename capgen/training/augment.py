"""Augmentation on the device: random crops, mirroring and colour, each photo its own.

Source: Szegedy et al., "Going deeper with convolutions" (2015), for crops by area and
aspect; the colour changes are the usual brightness, contrast and saturation.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from capgen.config import TrainConfig


def augment(pixels: Tensor, config: TrainConfig, generator: Generator) -> Tensor:
    """Return a random variation of each photo.

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
    return _color(pixels, config.color_jitter, generator) if config.color_jitter else pixels


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
    """Change brightness, contrast and saturation of each photo, then clip."""
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
