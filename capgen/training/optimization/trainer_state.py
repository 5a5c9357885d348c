"""A trainer's state: all that optimisation needs to go on, and back again."""

from __future__ import annotations

import torch

from capgen.errors import TrainingError
from capgen.training.optimization.optimizer import load_optimizer, optimizer_tensors
from capgen.training.optimization.trainer import Trainer
from capgen.training.run.saved_state import RunState


def trainer_state(trainer: Trainer) -> RunState:
    """Return all that going on needs; the tensors are the trainer's own."""
    tensors = {f"weight/{name}": p.detach() for p, name in trainer.names.items()}
    averages = zip(trainer.names.values(), trainer.average.average, strict=True)
    tensors |= {f"average/{name}": tensor for name, tensor in averages}
    tensors |= optimizer_tensors(trainer.optimizer, trainer.names)
    return RunState(
        tensors,
        {
            "step": trainer.step,
            "images_a_pass": trainer.images_a_pass,
            "average_updates": trainer.average.updates,
            "meter": trainer.meter.state(),
            "scaler": trainer.scaler.state_dict(),
        },
    )


@torch.no_grad()
def load_trainer(trainer: Trainer, state: RunState) -> None:
    """Let a trainer go on from a state.

    Random numbers need no state: they follow from the seed and the step.

    Raises:
        TrainingError: It is of another model.
    """
    tensors, numbers = state.tensors, state.numbers
    try:
        for parameter, name in trainer.names.items():
            parameter.copy_(tensors[f"weight/{name}"])
        averages = [tensors[f"average/{name}"] for name in trainer.names.values()]
        trainer.average.load(averages, numbers["average_updates"])
        load_optimizer(trainer.optimizer, trainer.names, tensors)
        trainer.meter.load(numbers["meter"])
        trainer.scaler.load_state_dict(numbers["scaler"])
        trainer.images_a_pass = numbers["images_a_pass"]
        trainer.step = numbers["step"]
    except (KeyError, RuntimeError) as error:
        raise TrainingError(f"The saved state does not fit this model: {error}") from error
