"""A trainer's state: everything that optimisation needs to continue."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW

from capgen.errors import TrainingError
from capgen.training.optimization.trainer import Trainer
from capgen.training.run.saved_state import RunState

# What AdamW keeps for each parameter.
OPTIMIZER_STATE = ("step", "exp_avg", "exp_avg_sq")


def trainer_state(trainer: Trainer) -> RunState:
    """Return everything needed to continue; the tensors are the trainer's own."""
    tensors = {f"weight/{name}": p.detach() for p, name in trainer.names.items()}
    averages = zip(trainer.names.values(), trainer.average.average, strict=True)
    tensors |= {f"average/{name}": tensor for name, tensor in averages}
    tensors |= {
        f"{kind}/{trainer.names[parameter]}": value
        for parameter, state in trainer.optimizer.state.items()
        for kind, value in state.items()
    }
    return RunState(
        tensors,
        {
            "step": trainer.step,
            "images_a_pass": trainer.images_per_pass,
            "device": trainer.device.type,
            "average_updates": trainer.average.updates,
            "meter": trainer.meter.state(),
            "scaler": trainer.scaler.state_dict(),
        },
    )


@torch.no_grad()
def load_trainer(trainer: Trainer, state: RunState) -> None:
    """Continue from a state. Random numbers need none: they follow from the seed and the step.

    Raises:
        TrainingError: The state is of another model.
    """
    tensors, numbers = state.tensors, state.numbers
    try:
        for parameter, name in trainer.names.items():
            parameter.copy_(tensors[f"weight/{name}"])
        averages = [tensors[f"average/{name}"] for name in trainer.names.values()]
        trainer.average.load(averages, numbers["average_updates"])
        _load_optimizer(trainer.optimizer, trainer.names, tensors)
        trainer.meter.load(numbers["meter"])
        trainer.scaler.load_state_dict(numbers["scaler"])
        # Another kind of device has other passes. States of earlier versions do not name theirs.
        if numbers.get("device", trainer.device.type) == trainer.device.type:
            trainer.images_per_pass = numbers["images_a_pass"]
        trainer.step = numbers["step"]
    except (KeyError, RuntimeError) as error:
        raise TrainingError(f"The saved state does not fit this model: {error}") from error


def _load_optimizer(
    optimizer: AdamW, names: Mapping[Tensor, str], tensors: Mapping[str, Tensor]
) -> None:
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            for kind in OPTIMIZER_STATE:
                saved = tensors.get(f"{kind}/{names[parameter]}")
                if saved is not None:
                    optimizer.state[parameter][kind] = _placed(kind, saved, parameter, group)


def _placed(kind: str, saved: Tensor, parameter: nn.Parameter, group: dict[str, Any]) -> Tensor:
    if kind == "step":
        # Only fused kernels want the count on the device.
        return saved.to(parameter.device) if group["fused"] else saved
    return torch.empty_like(parameter, requires_grad=False).copy_(saved)
