"""A decoder whose blocks are spread over the processes: each keeps a part of every weight.

PyTorch's `fully_shard` (FSDP2; Zhao et al., "PyTorch FSDP", 2023) puts a block together when a pass
needs it, and hands each process its part of the sum of the gradients. Only blocks are spread: the
embedding is the output layer, too, which is not called through the decoder.

The optimizer, the weights' average and saved states work on this process's parts, which are plain
tensors.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from torch.nn.utils import get_total_norm
from transformers import VisionEncoderDecoderModel

from capgen.training.optimization.trained_weights import TrainedWeights, gradients
from capgen.training.processes.base import Processes


class ShardedDecoder(TrainedWeights):
    """The trained weights of a captioner; those of the decoder's blocks in parts.

    All processes make as many passes through the decoder as each other.

    Args:
        model: The captioner; becomes that of process 0.
        processes: The processes that share the work, two or more.
        device: Where to compute.
    """

    sharded = True

    def __init__(
        self, model: VisionEncoderDecoderModel, processes: Processes, device: torch.device
    ) -> None:
        # Machines may draw other new weights: parts of different weights would not fit together.
        processes.send([*model.parameters(), *model.buffers()])
        self.model = model
        self.blocks: Sequence[Any] = model.decoder.transformer.h
        self._shard(processes)
        model.to(device)
        super().__init__(model, processes)
        self.shards: dict[str, DTensor] = {
            name: weight for name, weight in self.named.items() if isinstance(weight, DTensor)
        }
        for name, shard in self.shards.items():
            self.named[name] = nn.Parameter(shard.to_local())

    def _shard(self, processes: Processes) -> None:
        transformer, mesh = self.model.decoder.transformer, processes.mesh()
        for block in self.blocks:
            # Moves the block to the device: the whole decoder need not fit there.
            fully_shard(block, mesh=mesh, reshard_after_forward=True)
            # The losses of the processes add up. NCCL alone could scale in a sum.
            block.set_gradient_divide_factor(1.0)
            block.set_force_sum_reduction_for_comms(True)
        spread = {id(weight) for weight in transformer.h.parameters()}
        kept = {weight for weight in transformer.parameters() if id(weight) not in spread}
        # Owns no weight: as the root it lets a block come while the one before it computes.
        fully_shard(transformer, mesh=mesh, ignored_params=kept)

    @contextmanager
    def working(self) -> Iterator[None]:
        with self.processes.noticing(), warnings.catch_warnings():
            # The hidden states are a view; nothing changes them in place.
            warnings.filterwarnings("ignore", message="FSDP2-wrapped module")
            yield

    @contextmanager
    def whole(self) -> Iterator[None]:
        """Put the blocks together while the block runs.

        They take as much memory as without shards, and passes need no other process.
        """
        root = self.model.decoder.transformer
        self.processes.wait()  # more patiently than PyTorch does
        with self.processes.noticing():
            root.set_reshard_after_forward(False)
            for block in self.blocks:
                block.unshard()
        try:
            yield
        finally:
            root.set_reshard_after_forward(True)
            for block in self.blocks:
                block.reshard()

    def state_dict(self) -> dict[str, Tensor]:
        # The model's own `state_dict` would take the blocks apart, in this process alone.
        weights = self.model.named_parameters(remove_duplicate=False)
        buffers = [
            (f"{prefix}.{name}" if prefix else name, buffer)
            for prefix, module in self.model.named_modules()
            for name, buffer in module.named_buffers(recurse=False)
            if name not in module._non_persistent_buffers_set
        ]
        return {name: tensor.detach() for name, tensor in (*weights, *buffers)}

    @property
    def _kept(self) -> list[nn.Parameter]:
        """The parameters that every process has whole."""
        return [weight for name, weight in self.named.items() if name not in self.shards]

    def sum_gradients(self, others: Sequence[Tensor]) -> None:
        # Those of the shards are sums of all processes by now.
        self.processes.sum([*gradients(self._kept), *others])
        for name, shard in self.shards.items():
            self.named[name].grad = (
                None if shard.grad is None else cast(DTensor, shard.grad).to_local()
            )
            shard.grad = None

    def gradient_norm(self) -> Tensor:
        square = get_total_norm(gradients([self.named[name] for name in self.shards])) ** 2
        self.processes.sum([square])
        return (square + get_total_norm(gradients(self._kept)) ** 2).sqrt()

    def finite(self) -> bool:
        return self.processes.total(super().finite()) == self.processes.count

    def joined(self, name: str, tensor: Tensor) -> Tensor:
        shard = self.shards.get(name)
        if shard is None or tensor.ndim == 0:
            return tensor
        parts = DTensor.from_local(
            tensor, shard.device_mesh, shard.placements, shape=shard.shape, stride=shard.stride()
        )
        with self.processes.noticing():
            whole = parts.full_tensor()
        return whole.cpu() if self.processes.rank == 0 else whole[:0]

    def own(self, name: str, tensor: Tensor) -> Tensor:
        if name not in self.shards or tensor.ndim == 0:
            return tensor
        # As PyTorch divides tensors: the last processes may have less, or nothing.
        parts = tensor.chunk(self.processes.count)
        rank = self.processes.rank
        return parts[rank] if rank < len(parts) else tensor[:0]
