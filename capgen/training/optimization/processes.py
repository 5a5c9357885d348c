"""A training run in one process or in several (`torchrun`, `accelerate launch`).

Every process holds the whole model and takes its share of each step's images; gradients are
summed. All processes make the same decisions, since they see the same sums.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

# Elements that are summed at once (64 MB of float32).
_BUCKET = 1 << 24


class Processes(Protocol):
    """The processes of a run.

    Attributes:
        count: How many there are.
        rank: The number of this one, from 0; process 0 writes the files.
        device: The device of this one; None if it can be chosen.
    """

    count: int
    rank: int
    device: torch.device | None

    def sum(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its sum over the processes."""
        ...

    def gather(self, part: Any) -> list[Any]:
        """Return the `part` of each process, by rank."""
        ...

    def wait(self) -> None:
        """Wait for all processes."""
        ...


class Alone:
    """A run in one process."""

    count = 1
    rank = 0
    device: torch.device | None = None

    def sum(self, tensors: Sequence[Tensor]) -> None:
        pass

    def gather(self, part: Any) -> list[Any]:
        return [part]

    def wait(self) -> None:
        pass


class Group:
    """A run in several processes, set up by accelerate from the launcher's environment."""

    def __init__(self, *, cpu: bool) -> None:
        from accelerate import PartialState

        self._state = PartialState(cpu=cpu)
        self.count: int = self._state.num_processes
        self.rank: int = self._state.process_index
        self.device: torch.device | None = self._state.device

    def sum(self, tensors: Sequence[Tensor]) -> None:
        for bucket in _buckets(tensors):
            flat = torch.cat([tensor.reshape(-1) for tensor in bucket])
            torch.distributed.all_reduce(flat)
            parts = torch.split(flat, [tensor.numel() for tensor in bucket])
            for tensor, part in zip(bucket, parts, strict=True):
                tensor.copy_(part.view_as(tensor))

    def gather(self, part: Any) -> list[Any]:
        parts: list[Any] = [None] * self.count
        torch.distributed.all_gather_object(parts, part)
        return parts

    def wait(self) -> None:
        self._state.wait_for_everyone()


def join_processes(device: str) -> Processes:
    """Return the processes that the launcher set up for `--device`; usually just this one."""
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        return Alone()
    return Group(cpu=device == "cpu" or (device == "auto" and not torch.cuda.is_available()))


def _buckets(tensors: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    bucket: list[Tensor] = []
    size = 0
    for tensor in tensors:
        if bucket and (size + tensor.numel() > _BUCKET or tensor.dtype != bucket[0].dtype):
            yield bucket
            bucket, size = [], 0
        bucket.append(tensor)
        size += tensor.numel()
    if bucket:
        yield bucket
