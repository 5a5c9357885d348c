"""The moving average of the weights."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightAverage:
    """Exponential moving average of parameters, kept on their device.

    As in Adam, the average is corrected for its start: the weights before the first update do
    not count. With a decay of 0 it is the newest weights.

    Args:
        parameters: What to average.
        decay: Weight of the past at each update, 0 ≤ decay < 1.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], decay: float) -> None:
        self.parameters = list(parameters)
        self.decay = decay
        self.updates = 0
        self.average: list[Tensor] = [p.detach().clone() for p in self.parameters]

    @torch.no_grad()
    def update(self) -> None:
        """Take in the parameters' current values."""
        self.updates += 1
        weight = (1 - self.decay) / (1 - self.decay**self.updates)
        torch._foreach_lerp_(self.average, [p.data for p in self.parameters], weight)

    @torch.no_grad()
    def load(self, average: list[Tensor], updates: int) -> None:
        """Continue from an average over `updates` updates."""
        torch._foreach_copy_(self.average, average)
        self.updates = updates

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Replace the parameters by their average while the block runs."""
        current = [p.detach().clone() for p in self.parameters]
        self._set(self.average)
        try:
            yield
        finally:
            self._set(current)

    @torch.no_grad()
    def _set(self, values: list[Tensor]) -> None:
        torch._foreach_copy_([p.data for p in self.parameters], values)
