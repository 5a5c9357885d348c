"""Compression and rescaling on the device, against Pillow's."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from capgen.training.data.lossy_compression import compress
from capgen.training.data.rescaling import BICUBIC, BILINEAR, BOX, enlarge, shrink

IMAGES = Path(__file__).parents[4] / "capgen/images/bundled"
FILTERS = {
    BOX: Image.Resampling.BOX,
    BILINEAR: Image.Resampling.BILINEAR,
    BICUBIC: Image.Resampling.BICUBIC,
}


def _images(width=288, height=288):
    names = ("cat", "coffee", "raccoon", "rocket")
    return [Image.open(IMAGES / f"{n}.jpg").convert("RGB").resize((width, height)) for n in names]


def _tensor(images):
    arrays = np.stack([np.asarray(image) for image in images])
    return torch.from_numpy(arrays).permute(0, 3, 1, 2).float()


def _saved(image, kind, quality):
    file = io.BytesIO()
    image.save(file, kind, quality=quality, **({"subsampling": 2} if kind == "JPEG" else {}))
    return Image.open(file).convert("RGB")


def _psnr(one, other):
    return 10 * torch.log10(255**2 / (one - other).square().mean((1, 2, 3)))


def _compress(pixels, quality, webp=False):
    return compress(
        pixels, torch.full((len(pixels),), float(quality)), torch.full((len(pixels),), webp)
    )


@pytest.mark.parametrize("quality", [10, 30, 50, 75, 90])
@pytest.mark.parametrize("size", [(288, 288), (150, 101)])
def test_jpeg_is_pillows(quality, size):
    images = _images(*size)
    ours = _compress(_tensor(images), quality)
    theirs = _tensor([_saved(image, "JPEG", quality) for image in images])
    assert _psnr(ours, theirs).min() > 42
    assert (ours - theirs).abs().mean() < 1
    assert torch.equal(ours, ours.round())


@pytest.mark.parametrize("quality", [30, 50, 75, 90])
def test_webp_loses_as_much_as_pillows(quality):
    images = _images()
    before = _tensor(images)
    theirs = _tensor([_saved(image, "WEBP", quality) for image in images])
    ours = _compress(before, quality, webp=True)
    assert abs(_psnr(ours, before).mean() - _psnr(theirs, before).mean()) < 1


def test_each_image_has_its_own_quality_and_codec():
    pixels = _tensor(_images(64, 48))
    quality = torch.tensor([20.0, 90.0, 20.0, 60.0])
    webp = torch.tensor([False, True, True, False])
    together = compress(pixels, quality, webp)
    for row in range(4):
        alone = compress(pixels[row : row + 1], quality[row : row + 1], webp[row : row + 1])
        assert (alone[0] - together[row]).abs().mean() < 0.01


@pytest.mark.parametrize("kernel", list(FILTERS))
@pytest.mark.parametrize("share", [0.5, 0.71, 0.99])
def test_shrinking_is_pillows(kernel, share):
    images = _images(96, 64)
    ours = shrink(_tensor(images), torch.full((4,), share), torch.full((4,), kernel))
    width, height = round(96 * share), round(64 * share)
    theirs = _tensor([image.resize((width, height), FILTERS[kernel]) for image in images])
    assert (ours[:, :, :height, :width] - theirs).abs().max() < 2
    assert torch.equal(
        ours[:, :, height:], ours[:, :, height - 1 : height].expand_as(ours[:, :, height:])
    )


@pytest.mark.parametrize("kernel", [BILINEAR, BICUBIC])
def test_enlarging_is_pillows(kernel):
    share, kernels = torch.full((4,), 0.6), torch.full((4,), kernel)
    small = shrink(_tensor(_images(96, 64)), share, kernels).round()
    ours = enlarge(small, share, kernels)
    corner = small[:, :, : round(64 * 0.6), : round(96 * 0.6)].permute(0, 2, 3, 1)
    theirs = [
        Image.fromarray(array).resize((96, 64), FILTERS[kernel])
        for array in corner.to(torch.uint8).numpy()
    ]
    assert (ours - _tensor(theirs)).abs().max() < 2


def test_the_whole_size_stays_as_it_is():
    images = _tensor(_images(33, 20))
    kernels = torch.tensor([BOX, BILINEAR, BICUBIC, BOX])
    assert torch.equal(
        enlarge(shrink(images, torch.ones(4), kernels), torch.ones(4), kernels), images
    )


def test_every_size_has_weights():
    sides = torch.arange(1, 145) / 144
    flat = torch.full((144, 1, 144, 1), 100.0)
    for kernel in FILTERS:
        kernels = torch.full((144,), kernel)
        assert (shrink(flat, sides, kernels) - 100).abs().max() < 0.01
        if kernel != BOX:
            assert (enlarge(flat, sides, kernels) - 100).abs().max() < 0.01
