"""LoRA, with peft: low-rank additions to the decoder's matrices are trained instead of them.

Checkpoints hold the sums, so they load like any other model.
Source: Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models" (2021).
"""

from __future__ import annotations

import copy
import dataclasses
import importlib.util

from torch import nn

from capgen.errors import MissingDependencyError
from capgen.models.build import Captioning
from capgen.training.optimization.optimizer import is_new_in_gpt2

# GPT-2's self-attention and feed-forward matrices.
TARGETS = r".*\.h\.\d+\.(attn\.(c_attn|c_proj)|mlp\.(c_fc|c_proj))"


def check_adapters() -> None:
    """Raise `MissingDependencyError` if peft is not installed."""
    if importlib.util.find_spec("peft") is None:
        raise MissingDependencyError("peft", extra="lora", purpose="--lora-rank")


def add_adapters(captioning: Captioning, rank: int) -> None:
    """Freeze the decoder except its cross-attention, and add trained matrices of rank `rank`."""
    from peft import LoraConfig, inject_adapter_in_model

    decoder = captioning.model.decoder
    config = LoraConfig(
        r=rank, lora_alpha=2 * rank, target_modules=TARGETS, fan_in_fan_out=True, lora_dropout=0.0
    )
    inject_adapter_in_model(config, decoder)
    for name, parameter in decoder.named_parameters():
        parameter.requires_grad_("lora_" in name or is_new_in_gpt2(name))


def merged(captioning: Captioning) -> Captioning:
    """Return a copy of the captioner with its adapters added into its weights."""
    model = copy.deepcopy(captioning.model)
    for name, module in list(model.named_modules()):
        if hasattr(module, "get_base_layer"):
            module.merge()
            parent, _, child = name.rpartition(".")
            holder: nn.Module = model.get_submodule(parent)
            setattr(holder, child, module.get_base_layer())
    return dataclasses.replace(captioning, model=model)
