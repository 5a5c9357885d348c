"""The optimizer: AdamW with a group for each learning rate and weight decay."""

from __future__ import annotations

import torch
from torch import nn
from torch.optim import AdamW
from transformers import VisionEncoderDecoderModel

from capgen.config import TrainConfig
from capgen.training.optimization.learning_rate import part_of, peak_rates


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


def _undecayed(model: nn.Module) -> set[str]:
    """Return the names of norms, biases, embeddings and positions: parameters that do not decay."""
    embedded = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
    return {
        name
        for name, parameter in model.named_parameters()
        if parameter.ndim < 2
        or id(parameter) in embedded
        or any(word in name.rpartition(".")[2] for word in ("embed", "position", "token"))
    }
