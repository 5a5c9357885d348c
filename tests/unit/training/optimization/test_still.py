"""What is frozen of an encoder computes in training as in captioning."""

from __future__ import annotations

import torch
from torch import nn

from capgen.training.optimization.trainer import _still


def encoder() -> nn.Module:
    """Return two blocks with statistics and dropout, as a ResNet or a Swin has them."""
    return nn.Sequential(
        *(
            nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.Sequential(nn.Dropout(0.5)))
            for _ in range(2)
        )
    ).train()


def test_a_frozen_encoder_has_no_dropout_and_keeps_its_statistics() -> None:
    front = encoder().requires_grad_(False)
    before = {name: tensor.clone() for name, tensor in front.state_dict().items()}
    _still(front)
    images = torch.randn(4, 3, 8, 8)
    assert torch.equal(front(images), front(images))
    assert torch.equal(front(images)[:1], front(images[:1]))  # whatever else is in the batch
    assert all(torch.equal(before[name], now) for name, now in front.state_dict().items())


def test_blocks_that_are_trained_are_in_training_mode() -> None:
    front = encoder()
    first, second = front
    first.requires_grad_(False)
    _still(front)
    assert not any(module.training for module in first.modules())
    assert all(module.training for module in second.modules())
