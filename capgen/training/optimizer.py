"""Optimizer groups and learning-rate schedules."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR
from transformers import VisionEncoderDecoderModel

from capgen.config import TrainConfig

# The parts of a pretrained GPT-2 that captioning adds.
_NEW_IN_GPT2 = ("crossattention", "ln_cross_attn")


def build_optimizer(
    model: VisionEncoderDecoderModel, config: TrainConfig, device: torch.device
) -> AdamW:
    """Return AdamW over what is trained, a group for each learning rate and decay.

    Raises:
        ValueError: Nothing is trained.
    """
    undecayed = _undecayed(model)
    groups: dict[tuple[str, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            key = (part_of(name, config), name not in undecayed)
            groups.setdefault(key, []).append(parameter)
    rates = {
        "new": config.learning_rate,
        "encoder": config.encoder_learning_rate,
        "decoder": config.decoder_learning_rate,
    }
    return AdamW(
        [
            {
                "params": parameters,
                "lr": rates[part],
                "weight_decay": config.weight_decay if decays else 0.0,
                "name": f"{part} {'decayed' if decays else 'undecayed'}",
            }
            for (part, decays), parameters in groups.items()
        ],
        betas=(config.beta1, config.beta2),
        fused=device.type in ("cuda", "cpu"),
    )


def part_of(name: str, config: TrainConfig) -> str:
    """Return `encoder`, `decoder` (what is pretrained of them) or `new` for a parameter."""
    if name.startswith("encoder."):
        return "new" if name.startswith("encoder.neck.") else "encoder"
    pretrained = config.preset == "clip-gpt2" and name.startswith("decoder.")
    if pretrained and not any(part in name for part in _NEW_IN_GPT2):
        return "decoder"
    return "new"


def _undecayed(model: nn.Module) -> set[str]:
    """Names of parameters that are no matrices: norms, biases, embeddings and positions."""
    embedded = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
    return {
        name
        for name, parameter in model.named_parameters()
        if parameter.ndim < 2
        or id(parameter) in embedded
        or any(word in name.rpartition(".")[2] for word in ("embed", "position", "token"))
    }


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


def build_schedule(optimizer: AdamW, config: TrainConfig, steps: int) -> LambdaLR:
    """Return the schedule over `steps` steps; call its `step` after the optimizer's."""
    return LambdaLR(optimizer, schedule_factor(config, steps))
