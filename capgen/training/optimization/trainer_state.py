"""A trainer's state: everything that optimisation needs to continue."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
    """Return everything needed to continue; the tensors are the trainer's own.

    With a sharded decoder all processes call it together, and what process 0 is given is whole.
    """
    return RunState(
        {
            f"{kind}/{name}": trainer.weights.joined(name, tensor)
            for kind, name, tensor in _tensors(trainer)
        },
        {
            "step": trainer.step,
            "images_a_pass": trainer.images_per_pass,
            "device": trainer.device.type,
            "average_updates": trainer.average.updates,
            "meter": trainer.meter.state(),
            "scaler": trainer.scaler.state_dict(),
        },
    )


def _tensors(trainer: Trainer) -> Iterator[tuple[str, str, Tensor]]:
    """Iterate over (kind, name of the weight, tensor), in the same order in all processes."""
    named, state = trainer.weights.named, trainer.optimizer.state
    for name, parameter in named.items():
        yield "weight", name, parameter.detach()
    for name, average in zip(named, trainer.average.average, strict=True):
        yield "average", name, average
    for name, parameter in named.items():
        if parameter in state:
            yield from ((kind, name, value) for kind, value in state[parameter].items())


@torch.no_grad()
def load_trainer(trainer: Trainer, state: RunState) -> None:
    """Continue from a state. Random numbers need none: they follow from the seed and the step.

    Raises:
        TrainingError: The state is of another model.
    """
    weights, numbers = trainer.weights, state.numbers
    try:
        # Names are `kind/name of the weight`.
        tensors = {
            key: weights.own(key.partition("/")[2], tensor) for key, tensor in state.tensors.items()
        }
        for name, parameter in weights.named.items():
            parameter.copy_(tensors[f"weight/{name}"])
        averages = [tensors[f"average/{name}"] for name in weights.named]
        trainer.average.load(averages, numbers["average_updates"])
        names: dict[Tensor, str] = {parameter: name for name, parameter in weights.named.items()}
        _load_optimizer(trainer.optimizer, names, tensors)
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
