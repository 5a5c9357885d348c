"""A step cut into micro-batches, which fit into memory one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from capgen.training.data.packed_captions import CaptionCodec, Ids, PackedCaptions


class MicroBatch(NamedTuple):
    """Images that go through the model together.

    Attributes:
        images: Their numbers, int64 (B,).
        captions: Their captions.
        idle: The process has no image of the step and adds nothing.
    """

    images: Tensor
    captions: PackedCaptions
    idle: bool = False


def micro_batches(
    chosen: Sequence[Sequence[Ids]],
    numbers: Tensor,
    size: int,
    codec: CaptionCodec,
    *,
    rank: int,
    processes: int,
) -> list[MicroBatch]:
    """Cut a step into micro-batches; return those of one process.

    Args:
        chosen: The captions of each image of the step.
        numbers: The images, int64 (B,).
        size: Images per micro-batch, over all processes.
        codec: How the captions became ids.
        rank: The process.
        processes: How many processes share the step.
    """
    own = range(rank, len(numbers), processes)
    if not own:
        # Fewer images than processes: this one adds nothing, but takes part.
        captions = codec.pack([chosen[0]]).without_targets()
        return [MicroBatch(numbers[:1], captions, idle=True)]
    share = max(1, size // processes)
    return [
        MicroBatch(numbers[list(part)], codec.pack([chosen[index] for index in part]))
        for part in (own[start : start + share] for start in range(0, len(own), share))
    ]
