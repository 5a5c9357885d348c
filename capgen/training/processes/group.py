"""The processes that a launcher started: `torchrun`, `accelerate launch`, Slurm."""

from __future__ import annotations

import contextlib
import datetime
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from capgen.errors import CapgenError, ProcessLostError
from capgen.models.foreign_errors import first_line
from capgen.models.out_of_memory import is_out_of_memory
from capgen.training.processes.connections import connect
from capgen.training.processes.watch import DIED, FAILED, LEFT, End, Watch

T = TypeVar("T")

# Elements that are sent at once (64 MB of float32).
_BUCKET = 1 << 24
# Making a cache, saving and scoring may take hours, while the others wait.
_PATIENCE = datetime.timedelta(days=30)
# Seconds for the news of what broke a connection.
_NEWS = 2.0


class Group:
    """Several processes, set up by accelerate from the launcher's environment.

    Tensors of a GPU go through NCCL. Everything else goes through gloo, which notices by itself
    when a process ends; a `Watch` notices it for NCCL, and knows which one it was.
    """

    def __init__(self, *, cpu: bool) -> None:
        from accelerate import PartialState

        self._state = PartialState(cpu=cpu)
        self.count: int = self._state.num_processes
        self.rank: int = self._state.process_index
        self.device: torch.device | None = self._state.device
        self._control: Any = dist.new_group(backend="gloo", timeout=_PATIENCE)
        names = self.gather(os.environ.get("GROUP_RANK") or socket.gethostname())
        self.machines = len(set(names))
        self.machine = names.index(names[self.rank])
        self._watch: Watch | None = None  # until everybody is there
        peers = connect(self.rank, self.count, self.gather, same_machine=self.machine == 0)
        self._watch = Watch(self.rank, peers)

    def sum(self, tensors: Sequence[Tensor]) -> None:
        for bucket in _buckets(tensors):
            flat = torch.cat([tensor.reshape(-1) for tensor in bucket])
            with self._together():
                dist.all_reduce(flat, group=self._group_of(flat))
            _copy_parts(flat, bucket)

    def total(self, number: float) -> float:
        sums = torch.tensor(number, dtype=torch.float64)
        with self._together():
            dist.all_reduce(sums, group=self._control)
        return float(sums)

    def gather(self, part: Any) -> list[Any]:
        parts: list[Any] = [None] * self.count
        with self._together():
            dist.all_gather_object(parts, part, group=self._control)
        return parts

    def send(self, tensors: Sequence[Tensor]) -> None:
        for bucket in _buckets([tensor.detach() for tensor in tensors]):
            flat = torch.cat([tensor.reshape(-1) for tensor in bucket])
            with self._together():
                dist.broadcast(flat, src=0, group=self._group_of(flat))
            if self.rank:
                _copy_parts(flat, bucket)

    def first(self, work: Callable[[], T]) -> T:
        result: Any = None
        failure: CapgenError | None = None
        if self.rank == 0:
            try:
                result = work()
            except CapgenError as error:
                failure = error
        told = None if failure is None else (failure.message, failure.hint, failure.exit_code)
        result, told = self.gather((result, told))[0]
        if failure is not None:
            raise failure
        if told is not None:
            failure = CapgenError(told[0], hint=told[1])
            failure.exit_code = told[2]
            raise failure
        shared: T = result
        return shared

    def wait(self) -> None:
        with self._together():
            dist.barrier(group=self._control)

    def mesh(self) -> Any:
        from torch.distributed.device_mesh import DeviceMesh

        kind = "cpu" if self.device is None else self.device.type
        # PyTorch remembers meshes by their ranks: the group must outlive this run.
        everybody: Any = dist.group.WORLD
        return DeviceMesh.from_group(everybody, kind)

    @contextlib.contextmanager
    def noticing(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            end = None
            if not is_out_of_memory(error) and self._watch is not None:
                end = self._watch.wait(_NEWS)
            if end is None:
                raise
            raise self._lost(end) from error

    def check(self) -> None:
        end = self._watch.lost if self._watch else None
        if end is not None:
            raise self._lost(end)

    def finish(self) -> None:
        """End this process's part in a run that is over; another run may follow."""
        self.leave(LEFT)
        dist.destroy_process_group(self._control)

    def leave(self, how: str) -> None:
        """Tell the others that this process ends before the run does: it has `FAILED` or `LEFT`."""
        if self._watch is not None:
            self._watch.leave(how)

    def _group_of(self, tensor: Tensor) -> Any:
        return self._control if tensor.device.type == "cpu" else None  # None: all, by NCCL

    @contextlib.contextmanager
    def _together(self) -> Iterator[None]:
        """Turn what an operation of all processes raises when one of them ends into an error."""
        try:
            with self.noticing():
                yield
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise
            raise ProcessLostError(
                f"The connection to another process of the run broke ({first_line(error)})"
            ) from error

    def _lost(self, end: End) -> ProcessLostError:
        if self._watch is not None:
            self._watch.noticed = True
        if self.device is not None and self.device.type == "cuda":
            with contextlib.suppress(RuntimeError):
                # Operations that wait for the process would hang, and with them the exit.
                dist.distributed_c10d._abort_process_group()
        name = f"Process {end.rank} of {self.count}"
        said = {
            DIED: f"{name} has died",
            FAILED: f"{name} has failed; its message says why",
            LEFT: f"{name} was stopped",
        }
        return ProcessLostError(said.get(end.how, said[DIED]), stopped=end.how == LEFT)


def _copy_parts(flat: Tensor, tensors: Sequence[Tensor]) -> None:
    parts = torch.split(flat, [tensor.numel() for tensor in tensors])
    for tensor, part in zip(tensors, parts, strict=True):
        tensor.copy_(part.view_as(tensor))


def _buckets(tensors: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    bucket: list[Tensor] = []
    size = 0
    for tensor in tensors:
        if bucket and (
            size + tensor.numel() > _BUCKET
            or (tensor.dtype, tensor.device) != (bucket[0].dtype, bucket[0].device)
        ):
            yield bucket
            bucket, size = [], 0
        bucket.append(tensor)
        size += tensor.numel()
    if bucket:
        yield bucket
