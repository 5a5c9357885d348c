"""The trained weights and their gradients, which every process of a run holds whole."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from capgen.errors import UsageError
from capgen.training.processes.base import Processes


class TrainedWeights:
    """What an optimizer changes, by name.

    Args:
        model: The captioner, on its device.
        processes: The processes that share the work.

    Attributes:
        named: The parameters that this process optimises, by name.
        sharded: Whether some of them are parts of weights; the other parts are elsewhere.

    Raises:
        UsageError: Nothing of the model is trained.
    """

    sharded = False

    def __init__(self, model: nn.Module, processes: Processes) -> None:
        self.processes = processes
        self.named = {
            name: parameter
            for name, parameter in model.named_parameters()
            if parameter.requires_grad
        }
        if not self.named:
            raise UsageError("Nothing of the model is trained")

    @property
    def parameters(self) -> list[nn.Parameter]:
        """The parameters that this process optimises."""
        return list(self.named.values())

    def working(self) -> AbstractContextManager[None]:
        """Return what to do passes in."""
        return nullcontext()

    def whole(self) -> AbstractContextManager[None]:
        """Return what to use the model in, other than for passes of training.

        All processes enter it together; in it they need not do the same.
        """
        return nullcontext()

    def state_dict(self) -> dict[str, Tensor] | None:
        """Return the model's tensors, within `whole`; None if it can be asked itself."""
        return None

    def sum_gradients(self, others: Sequence[Tensor]) -> None:
        """Sum the gradients and other tensors over the processes."""
        if self.processes.count > 1:
            self.processes.sum([*gradients(self.parameters), *others])

    def clip_gradients(self, longest: float) -> None:
        """Scale the gradients, if all of them as one vector are longer than `longest`."""
        clip_grads_with_norm_(self.parameters, longest, self.gradient_norm())

    def gradient_norm(self) -> Tensor:
        """Return the length of all gradients as one vector, float32 ()."""
        return get_total_norm(gradients(self.parameters))

    def finite(self) -> bool:
        """Whether every weight is a finite number."""
        norms = torch.stack(torch._foreach_norm([p.detach() for p in self.parameters]))
        return bool(torch.isfinite(norms).all())

    def joined(self, name: str, tensor: Tensor) -> Tensor:
        """Return a tensor of the shape of a parameter with the parts of all processes.

        All processes ask for the same; only process 0 may be given it.
        """
        return tensor

    def own(self, name: str, tensor: Tensor) -> Tensor:
        """Return this process's part of a tensor of the shape of a weight."""
        return tensor


def gradients(parameters: Sequence[nn.Parameter]) -> list[Tensor]:
    """Return the gradients that there are."""
    return [parameter.grad for parameter in parameters if parameter.grad is not None]
