"""The interface of objectives: what a training step minimises.

A step is cut into micro-batches and processes. The losses of its micro-batches add up to the
loss of the step, so an objective divides by counts of the whole step.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from torch import Tensor

from capgen.training.data.packed_captions import PackedCaptions


class Share(NamedTuple):
    """A micro-batch with what it is a share of: the step.

    Attributes:
        images: Their numbers in the training split, int64 (B,), on the CPU.
        inputs: The model's input for them, on the device.
        captions: Their captions, on the device.
        tokens: Tokens learned in the whole step, over all processes.
        step_images: Images of the whole step, over all processes.
        step: Steps taken before this one.
        idle: The process has no image of the step: its loss must be 0, but reach all trained
            weights, so that gradients can be summed.
        features: The features of the encoder's front for the inputs, if they were computed.
    """

    images: Tensor
    inputs: Tensor
    captions: PackedCaptions
    tokens: int
    step_images: int
    step: int
    idle: bool = False
    features: Tensor | None = None


class ShareLoss(NamedTuple):
    """What a micro-batch adds to its step.

    Attributes:
        loss: Its part of the step's loss, float32 (), with gradients.
        numbers: Its part of what `StepLoss.names` names, float32 (names,), without gradients;
            averaged over images.
    """

    loss: Tensor
    numbers: Tensor


class StepLoss(Protocol):
    """An objective. Its random numbers follow from the seed, `Share.step` and the image alone."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the numbers that it reports in addition to the loss."""
        ...

    def __call__(self, share: Share) -> ShareLoss:
        """Return the loss; called under autocast, with the model in training mode."""
        ...
