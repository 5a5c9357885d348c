"""A step's photos, cut into passes and into the shares of the processes."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from capgen.training.captions import Ids, PackedCaptions, pack_captions
from capgen.training.processes import Processes


def cut_passes(
    chosen: Sequence[Sequence[Ids]],
    numbers: Tensor,
    size: int,
    processes: Processes,
    *,
    pad: int,
    unknown: int | None,
) -> list[tuple[Tensor, PackedCaptions]]:
    """Return this process's passes of a step: photo numbers and their captions.

    Args:
        chosen: The captions of each photo of the step.
        numbers: The photos, int64 (B,).
        size: Photos a pass, over all processes.
        processes: Who shares the work.
        pad: Id that fills up rows.
        unknown: Target that is not learned, or None.
    """
    mine = range(processes.rank, len(numbers), processes.count)
    if not mine:
        # Fewer photos than processes: this one adds nothing, but takes part.
        idle = pack_captions([chosen[0]], pad=pad, unknown=unknown)
        return [(numbers[:1], idle.without_targets())]
    share = max(1, size // processes.count)
    return [
        (
            numbers[list(part)],
            pack_captions([chosen[index] for index in part], pad=pad, unknown=unknown),
        )
        for part in (mine[start : start + share] for start in range(0, len(mine), share))
    ]
