"""A step's images, cut into passes and into the shares of the processes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from capgen.training.data.packed_captions import Ids, PackedCaptions, pack_captions
from capgen.training.optimization.processes import Processes


class Pass(NamedTuple):
    """Images that go through the model together.

    Attributes:
        images: Their numbers, int64 (B,).
        captions: Their captions.
        idle: The process has no image of the step, and adds nothing with this pass.
    """

    images: Tensor
    captions: PackedCaptions
    idle: bool = False


def cut_passes(
    chosen: Sequence[Sequence[Ids]],
    numbers: Tensor,
    size: int,
    processes: Processes,
    *,
    pad: int,
    unknown: int | None,
) -> list[Pass]:
    """Return this process's passes of a step.

    Args:
        chosen: The captions of each image of the step.
        numbers: The images, int64 (B,).
        size: Images a pass, over all processes.
        processes: Who shares the work.
        pad: Id that fills up rows.
        unknown: Target that is not learned, or None.
    """
    mine = range(processes.rank, len(numbers), processes.count)
    if not mine:
        # Fewer images than processes: this one adds nothing, but takes part.
        idle = pack_captions([chosen[0]], pad=pad, unknown=unknown)
        return [Pass(numbers[:1], idle.without_targets(), idle=True)]
    share = max(1, size // processes.count)
    return [
        Pass(
            numbers[list(part)],
            pack_captions([chosen[index] for index in part], pad=pad, unknown=unknown),
        )
        for part in (mine[start : start + share] for start in range(0, len(mine), share))
    ]
