"""Rescaling on the device: each image to its own size, with its own filter.

Resizing is two matrix products, one for lines and one for columns, so a batch of different
sizes is one batched product. The filters are Pillow's: antialiased, and cut at the edges.

Source: R. Keys, "Cubic convolution interpolation for digital image processing" (1981), for the
cubic filter, with a = -0.5.
"""

from __future__ import annotations

import torch
from torch import Tensor

# Filters by number.
BOX, BILINEAR, BICUBIC = range(3)


def shrink(pixels: Tensor, share: Tensor, kernel: Tensor) -> Tensor:
    """Shrink images, each into the upper left corner of its place.

    Args:
        pixels: float32 (B, 3, H, W) in 0..255.
        share: float32 (B,), the share of each side that is left, above 0 and at most 1.
        kernel: int64 (B,), the filter of each image.

    Returns:
        The same shape and range. The last line and column of a smaller image are repeated
        up to the edges.
    """
    return _resized(pixels, share, kernel, back=False)


def enlarge(pixels: Tensor, share: Tensor, kernel: Tensor) -> Tensor:
    """Restore the size of images that `shrink` made smaller; same arguments."""
    return _resized(pixels, share, kernel, back=True)


def _resized(pixels: Tensor, share: Tensor, kernel: Tensor, *, back: bool) -> Tensor:
    lines, columns = (_weights(side, share, kernel, back=back) for side in pixels.shape[2:])
    across = (pixels @ columns.mT).clamp(0, 255)
    return (lines @ across).clamp(0, 255)


def _weights(side: int, share: Tensor, kernel: Tensor, *, back: bool) -> Tensor:
    """Return the weight of each old place in each new place of a side: (B, 1, side, side)."""
    small = (share * side).round().clamp(min=1).view(-1, 1, 1)
    full = torch.full_like(small, side)
    before, after = (small, full) if back else (full, small)
    places = torch.arange(side, device=share.device, dtype=share.dtype)
    target = torch.minimum(places.view(1, -1, 1), after - 1)
    ratio = before / after
    distance = ((places + 0.5) - (target + 0.5) * ratio) / ratio.clamp(min=1)
    weights = _filter(distance, kernel.view(-1, 1, 1)) * (places < before)
    return (weights / weights.sum(-1, keepdim=True)).unsqueeze(1)


def _filter(distance: Tensor, kernel: Tensor) -> Tensor:
    """Return each filter's weight at a distance in pixels."""
    far = distance.abs()
    box = ((distance > -0.5) & (distance <= 0.5)).to(far.dtype)
    line = (1 - far).clamp(min=0)
    near = (1.5 * far - 2.5) * far * far + 1
    outer = ((2.5 - 0.5 * far) * far - 4) * far + 2
    cubic = torch.where(far < 1, near, torch.where(far < 2, outer, torch.zeros_like(far)))
    return torch.where(kernel == BOX, box, torch.where(kernel == BILINEAR, line, cubic))
