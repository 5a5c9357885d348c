"""A step cut into micro-batches, which fit into memory one after the other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from capgen.config import TrainConfig
from capgen.training.data.packed_captions import CaptionCodec, Ids, PackedCaptions
from capgen.training.objectives.cross_entropy import CaptionObjective

# Images, or captions without images, that go through the model together on a CPU. With more, the
# activations leave its caches, and every large tensor is new memory that has to be cleared.
_IMAGES_ON_CPU, _CAPTIONS_ON_CPU = 16, 64


class MicroBatch(NamedTuple):
    """Images that go through the model together.

    Attributes:
        images: Their numbers, int64 (B,).
        captions: Their captions.
        idle: It adds nothing: the process has no other image of the step.
    """

    images: Tensor
    captions: PackedCaptions
    idle: bool = False


def images_per_pass(
    config: TrainConfig, objective: CaptionObjective, device: torch.device, processes: int = 1
) -> int:
    """Return how many images go through the model together at first, over all processes.

    It is the batch on a GPU, and where a trained encoder normalises by the images of its batch.
    """
    if device.type != "cpu" or _normalizes_batches(objective):
        return config.batch_size
    most = _IMAGES_ON_CPU if config.sees_images else _CAPTIONS_ON_CPU
    return min(config.batch_size, most * processes)


def _normalizes_batches(objective: CaptionObjective) -> bool:
    return not objective.cached and any(
        isinstance(part, _BatchNorm) and any(weight.requires_grad for weight in part.parameters())
        for part in objective.front.modules()
    )


def micro_batches(
    chosen: Sequence[Sequence[Ids]],
    numbers: Tensor,
    size: int,
    codec: CaptionCodec,
    *,
    rank: int,
    processes: int,
    equal: bool = False,
) -> list[MicroBatch]:
    """Cut a step into micro-batches; return those of one process.

    Images with about as many words go together, so that there is little padding, and those with
    the most words come first: if memory runs out, then at once.

    Args:
        chosen: The captions of each image of the step.
        numbers: The images, int64 (B,).
        size: Images per micro-batch, over all processes.
        codec: How the captions became ids.
        rank: The process.
        processes: How many processes share the step.
        equal: Add idle micro-batches, so that all processes have as many.
    """
    own: Sequence[int] = range(rank, len(numbers), processes)
    share = max(1, size // processes)
    # Process 0 has the most images.
    passes = math.ceil(math.ceil(len(numbers) / processes) / share) if equal else 1
    if len(own) > share:
        own = sorted(own, key=lambda index: -sum(map(len, chosen[index])))
    batches = [
        MicroBatch(numbers[list(part)], codec.pack([chosen[index] for index in part]))
        for part in (own[start : start + share] for start in range(0, len(own), share))
    ]
    if len(batches) < passes:
        # With fewer images than processes, say, this one adds nothing, but takes part.
        captions = codec.pack([chosen[0]]).without_targets()
        idle = MicroBatch(numbers[:1], captions, idle=True)
        batches += [idle] * (passes - len(batches))
    return batches
