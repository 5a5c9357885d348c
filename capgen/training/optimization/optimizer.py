"""Optimizer groups and learning-rate schedules."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW
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
    rates = peak_rates(config)
    return AdamW(
        [
            {
                "params": parameters,
                "lr": rates[part],
                "peak": rates[part],
                "weight_decay": config.weight_decay if decays else 0.0,
                "name": f"{part} {'decayed' if decays else 'undecayed'}",
            }
            for (part, decays), parameters in groups.items()
        ],
        betas=(config.beta1, config.beta2),
        fused=device.type in ("cuda", "cpu"),
    )


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


def set_rates(optimizer: AdamW, factor: float) -> None:
    """Set the learning rate of each group to `factor` times its peak."""
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * factor


def optimizer_tensors(optimizer: AdamW, names: Mapping[Tensor, str]) -> dict[str, Tensor]:
    """Return the optimizer's state: `KIND/PARAMETER` → tensor."""
    return {
        f"{kind}/{names[parameter]}": value
        for parameter, state in optimizer.state.items()
        for kind, value in state.items()
    }


def load_optimizer(
    optimizer: AdamW, names: Mapping[Tensor, str], tensors: Mapping[str, Tensor]
) -> None:
    """Give the optimizer the state that `optimizer_tensors` returned."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            for kind in OPTIMIZER_STATE:
                saved = tensors.get(f"{kind}/{names[parameter]}")
                if saved is not None:
                    optimizer.state[parameter][kind] = _placed(kind, saved, parameter, group)


# What AdamW keeps for each parameter.
OPTIMIZER_STATE = ("step", "exp_avg", "exp_avg_sq")


def _placed(kind: str, saved: Tensor, parameter: nn.Parameter, group: dict[str, Any]) -> Tensor:
    if kind == "step":
        # Only fused kernels want the count on the device.
        return saved.to(parameter.device) if group["fused"] else saved
    return torch.empty_like(parameter, requires_grad=False).copy_(saved)
