"""The optimizer: AdamW with a group for each learning rate and weight decay."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn
from torch.optim import AdamW
from transformers import VisionEncoderDecoderModel

from capgen.config import TrainConfig

# The parts that captioning adds to a pretrained GPT-2.
_NEW_IN_GPT2 = ("crossattention", "ln_cross_attn", "lora_")
# The concept head, and its part that is pretrained.
_CONCEPT_HEAD, _CLASSES = "encoder.concept_head.", "encoder.concept_head.classes."
# Parameters named like these are embeddings, which do not decay.
_EMBEDDINGS = ("embed", "position", "token")


def build_optimizer(
    model: VisionEncoderDecoderModel,
    trained: Mapping[str, nn.Parameter],
    config: TrainConfig,
    device: torch.device,
) -> AdamW:
    """Return AdamW over parameters, with a group for each learning rate and decay.

    Args:
        model: The captioner.
        trained: Its parameters that are trained, or this process's parts of them, by name.
        config: The settings of the optimizer.
        device: Where the parameters are.
    """
    undecayed = _undecayed(model)
    groups: dict[tuple[str, bool], list[nn.Parameter]] = {}
    for name, parameter in trained.items():
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
        "concepts": config.concept_learning_rate,
        "new": config.learning_rate,
    }


def part_of(name: str, config: TrainConfig) -> str:
    """Return the part of a parameter.

    It is `encoder` or `decoder` if pretrained, `concepts` in the concept head, otherwise `new`.
    """
    if name.startswith(_CONCEPT_HEAD) and not name.startswith(_CLASSES):
        return "concepts"
    if name.startswith("encoder."):
        return "new" if name.startswith("encoder.neck.") else "encoder"
    pretrained = config.preset == "clip-gpt2" and name.startswith("decoder.")
    return "decoder" if pretrained and not is_new_in_gpt2(name) else "new"


def is_new_in_gpt2(name: str) -> bool:
    """Whether a parameter belongs to what captioning adds to a pretrained GPT-2."""
    return any(part in name for part in _NEW_IN_GPT2)


def _undecayed(model: nn.Module) -> set[str]:
    """Return the names of norms, biases, embeddings and positions, which do not decay."""
    embedded = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
    return {
        name
        for name, parameter in model.named_parameters()
        if parameter.ndim < 2
        or id(parameter) in embedded
        or any(word in name.rpartition(".")[2] for word in _EMBEDDINGS)
    }
