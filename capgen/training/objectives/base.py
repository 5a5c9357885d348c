"""What a training step minimises: the interface that objectives share, and cross-entropy.

A step is cut into passes and processes. Each pass returns its share of the step's loss, and
the shares add up: so an objective divides by counts of the whole step, which it is given.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from capgen.training.data.packed_captions import PackedCaptions
from capgen.training.objectives.cross_entropy import CaptionObjective


@dataclass(frozen=True, kw_only=True)
class Share:
    """A pass: images that go through the model together, and the step that they are of.

    Attributes:
        images: Their numbers in the training split, int64 (B,), on the CPU.
        inputs: The model's input for them, on the device.
        captions: Their captions, on the device.
        tokens: Tokens learned in the whole step, over all passes and processes.
        step_images: Images of the whole step, over all passes and processes.
        step: Steps taken before this one.
        idle: The process has no image of the step: the pass must add nothing to the loss, but
            reach all trained weights, so that gradients can be summed.
    """

    images: Tensor
    inputs: Tensor
    captions: PackedCaptions
    tokens: int
    step_images: int
    step: int
    idle: bool = False


class PassLoss(NamedTuple):
    """What a pass adds to its step.

    Attributes:
        loss: Its share of the step's loss, float32 (), with gradients.
        numbers: Its shares of the numbers that `StepLoss.names` names, float32 (names,),
            without gradients; they add up to the step's, and are averaged over images.
    """

    loss: Tensor
    numbers: Tensor


class StepLoss(Protocol):
    """An objective. What it draws at random follows from the seed, `Share.step` and the image."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the numbers that it reports beside the loss."""
        ...

    def __call__(self, share: Share) -> PassLoss:
        """Return a pass's loss; called under autocast, with the model in training mode."""
        ...


class CrossEntropy:
    """The mean cross-entropy of the captions' tokens.

    Args:
        objective: The captioner's forward pass.
    """

    names: tuple[str, ...] = ()

    def __init__(self, objective: CaptionObjective) -> None:
        self.objective = objective

    def __call__(self, share: Share) -> PassLoss:
        """Return a pass's loss."""
        states = self.objective.encode(share.inputs)
        loss = self.objective.loss_sum(states, share.captions) / max(share.tokens, 1)
        return PassLoss(loss, torch.zeros(0, device=loss.device))
