"""What a run needs of the processes that share it, and a run in one process.

Every process takes its share of each step's images and holds the whole model, unless the decoder
is spread over them; gradients are summed. All processes make the same decisions, since they see the
same sums.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

T = TypeVar("T")


class Processes(Protocol):
    """The processes of a run. All call each method but `check` and `noticing`, in one order.

    Attributes:
        count: How many there are.
        rank: The number of this one, from 0; process 0 writes the run's files.
        device: The device of this one; None if it can be chosen.
        machines: How many machines they are on.
        machine: The rank of the first process on this one's machine, which makes its caches.
    """

    count: int
    rank: int
    device: torch.device | None
    machines: int
    machine: int

    def sum(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its sum over the processes.

        Raises:
            ProcessLostError: A process has ended; so do the other methods.
        """
        ...

    def total(self, number: float) -> float:
        """Return the sum of a number over the processes, without waiting for the device."""
        ...

    def gather(self, part: Any) -> list[Any]:
        """Return the `part` of each process, by rank."""
        ...

    def send(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by that of process 0."""
        ...

    def first(self, work: Callable[[], T]) -> T:
        """Return what `work` returns in process 0, the only one that does it.

        Raises:
            CapgenError: What `work` raised, in every process.
        """
        ...

    def wait(self) -> None:
        """Wait for all processes, however long they take."""
        ...

    def mesh(self) -> Any:
        """Return the processes as PyTorch's `DeviceMesh` of one dimension."""
        ...

    def noticing(self) -> AbstractContextManager[None]:
        """Turn what PyTorch's own operations raise if a process ends into `ProcessLostError`."""
        ...

    def check(self) -> None:
        """Raise `ProcessLostError` if a process is known to have ended."""
        ...


class Alone:
    """A run in one process."""

    count = 1
    rank = 0
    device: torch.device | None = None
    machines = 1
    machine = 0

    def sum(self, tensors: Sequence[Tensor]) -> None:
        pass

    def total(self, number: float) -> float:
        return number

    def gather(self, part: Any) -> list[Any]:
        return [part]

    def send(self, tensors: Sequence[Tensor]) -> None:
        pass

    def first(self, work: Callable[[], T]) -> T:
        return work()

    def wait(self) -> None:
        pass

    def mesh(self) -> Any:
        raise AssertionError("one process has nothing to share")

    def noticing(self) -> AbstractContextManager[None]:
        return nullcontext()

    def check(self) -> None:
        pass
