"""The learning rate of a step: warm-up, then the schedule."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch.optim import AdamW

from capgen.config import TrainConfig


def schedule_factor(config: TrainConfig, steps: int) -> Callable[[int], float]:
    """Return step → factor of the learning rate: linear warm-up, then down to 0 at `steps`.

    A run that is too short for the warm-up warms up over its first half.
    """
    warmup = min(config.warmup_steps, steps // 2)

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        if config.schedule == "constant":
            return 1.0
        progress = min(1.0, (step - warmup) / max(1, steps - warmup))
        if config.schedule == "linear":
            return 1.0 - progress
        return 0.5 * (1.0 + math.cos(math.pi * progress))

    return factor


def set_rates(optimizer: AdamW, factor: float) -> None:
    """Set the learning rate of each group to `factor` times its peak."""
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * factor
