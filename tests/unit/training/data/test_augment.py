"""Augmentation."""

from __future__ import annotations

import pytest
import torch

from capgen.config import train_config
from capgen.training.data.augment import augment


def _images(batch=4, size=32):
    return torch.rand(batch, 3, size, size, generator=torch.Generator().manual_seed(1)) * 255


def _run(images, seed=0, **settings):
    return augment(images, train_config("mini", **settings), torch.Generator().manual_seed(seed))


OFF = {"crop_area": 1.0, "crop_aspect": 1.0, "flip": False, "color_jitter": 0.0}


def test_shape_and_range_stay():
    images = _images()
    varied = _run(images)
    assert varied.shape == images.shape
    assert varied.dtype == torch.float32
    assert varied.min() >= 0
    assert varied.max() <= 255
    assert (varied - images).abs().mean() > 1


def test_the_generator_decides():
    images = _images()
    assert torch.equal(_run(images, seed=3), _run(images, seed=3))
    assert not torch.equal(_run(images, seed=3), _run(images, seed=4))


def test_each_image_varies_by_itself():
    same = _images(1).expand(4, -1, -1, -1).contiguous()
    varied = _run(same)
    assert not torch.equal(varied[0], varied[1])


def test_all_off_changes_nothing():
    images = _images()
    assert torch.allclose(_run(images, **OFF), images, atol=1e-2)


def test_flip_mirrors_about_half():
    images = _images(64, 8)
    flipped = _run(images, **{**OFF, "flip": True})
    same = (flipped - images).abs().flatten(1).max(1).values < 0.01
    mirrored = (flipped - images.flip(-1)).abs().flatten(1).max(1).values < 0.01
    assert (same | mirrored).all()
    assert 16 < mirrored.sum() < 48


def test_crops_stay_inside_and_within_their_area():
    # An image whose values are its own coordinates shows what part was kept.
    ramp = torch.linspace(0, 255, 64)
    image = torch.stack([ramp.expand(64, 64), ramp.expand(64, 64).T, torch.zeros(64, 64)])
    varied = _run(image.expand(200, -1, -1, -1), **{**OFF, "crop_area": 0.5, "crop_aspect": 4 / 3})
    spans = [varied[:, axis].amax((1, 2)) - varied[:, axis].amin((1, 2)) for axis in (0, 1)]
    width, height = (span / 255 for span in spans)
    area = width * height
    assert 0.4 < area.min() < 0.6
    assert area.max() <= 1.0
    assert (width / height).max() < 4 / 3 + 0.05
    assert (width / height).min() > 3 / 4 - 0.05


def test_crops_of_aspect_1_keep_the_shape_of_wide_images():
    image = torch.stack(
        [
            torch.linspace(0, 255, 96).expand(48, 96),
            torch.linspace(0, 255, 48).view(-1, 1).expand(48, 96),
            torch.zeros(48, 96),
        ]
    )
    varied = _run(image.expand(50, -1, -1, -1), **{**OFF, "crop_area": 0.3})
    width, height = (varied[:, axis].amax((1, 2)) - varied[:, axis].amin((1, 2)) for axis in (0, 1))
    assert width.min() < 0.7 * 255
    assert (width / height - 1).abs().max() < 0.05


@pytest.mark.parametrize("setting", ["compression", "rescale"])
def test_a_share_of_the_images_is_spoiled(setting):
    images = _images(200, 16)
    plain = _run(images, **OFF)
    varied = _run(images, **{**OFF, setting: 0.3})
    changed = (varied != plain).flatten(1).any(1)
    assert 30 < changed.sum() < 90
    assert varied.min() >= 0
    assert varied.max() <= 255
    assert torch.equal(varied, _run(images, **{**OFF, setting: 0.3}))
    assert not torch.equal(varied, _run(images, seed=1, **{**OFF, setting: 0.3}))


def test_single_images_are_spoiled_as_often():
    image = _images(1, 16)
    config = train_config("mini", **OFF, compression=0.25)
    generator = torch.Generator().manual_seed(0)
    plain = _run(image, **OFF)
    changed = [not torch.equal(augment(image, config, generator), plain) for _ in range(200)]
    assert 30 < sum(changed) < 70


def test_the_lowest_quality_counts():
    images = _images(16, 32)[:, :1].expand(-1, 3, -1, -1)  # grey: only quality decides
    plain = _run(images, **OFF)
    loss = {
        quality: (
            _run(images, **{**OFF, "compression": 1.0, "compression_quality": quality}) - plain
        )
        .abs()
        .mean()
        for quality in (5, 95)
    }
    assert loss[5] > 2 * loss[95]


def test_settings_of_files_are_augmentation():
    assert not train_config("mini", **OFF).augments
    assert train_config("mini", **OFF, compression=0.1).augments
    assert train_config("mini", **OFF, rescale=0.1).augments


def test_images_that_are_left_alone_are_those_without_compression():
    images = _images(40, 16)
    plain = _run(images)
    untouched = (_run(images, compression=0.5) == plain).flatten(1).all(1)
    assert 5 < untouched.sum() < 35
