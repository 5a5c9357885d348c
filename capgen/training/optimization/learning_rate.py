"""The learning rate of a step: a peak for each kind of parameter, times the schedule's factor."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch.optim import AdamW

from capgen.config import TrainConfig

# The parts of a pretrained GPT-2 that captioning adds.
_NEW_IN_GPT2 = ("crossattention", "ln_cross_attn")


def peak_rates(config: TrainConfig) -> dict[str, float]:
    """Return the peak learning rate of each part that `part_of` names."""
    return {
        "encoder": config.encoder_learning_rate,
        "decoder": config.decoder_learning_rate,
        "new": config.learning_rate,
    }


def part_of(name: str, config: TrainConfig) -> str:
    """Return `encoder`, `decoder` (what is pretrained of them) or `new` for a parameter."""
    if name.startswith("encoder."):
        return "new" if name.startswith("encoder.neck.") else "encoder"
    pretrained = config.preset == "clip-gpt2" and name.startswith("decoder.")
    if pretrained and not is_new_in_gpt2(name):
        return "decoder"
    return "new"


def is_new_in_gpt2(name: str) -> bool:
    """Whether a parameter is of what captioning adds to a pretrained GPT-2."""
    return any(part in name for part in (*_NEW_IN_GPT2, "lora_"))


def schedule_factor(config: TrainConfig, steps: int) -> Callable[[int], float]:
    """Return step → factor of the learning rate: linear warm-up, then down to 0 at `steps`.

    A run too short for the warm-up warms up over its first half.
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
