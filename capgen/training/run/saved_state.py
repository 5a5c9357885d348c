"""Saved states of a run: everything needed to continue, in safetensors and JSON.

    state/step-00000120-epoch-0001/
        tensors.safetensors   trained weights, their average, the optimizer's moments
        state.json            counters, loss meter, best scores so far; written last

A state is renamed into place when it is complete and on disk, so the newest one is always
whole, whenever the process dies.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from capgen.errors import TrainingError
from capgen.models.checkpoint import rust_errors
from capgen.paths import storage_errors
from capgen.training.processes.base import Processes

logger = logging.getLogger(__name__)

STATE_FOLDER = "state"
_TENSORS, _NUMBERS = "tensors.safetensors", "state.json"
_SCHEMA_VERSION = 1


@dataclass(frozen=True)
class RunState:
    """A run at one moment: tensors by name, and numbers as JSON types."""

    tensors: Mapping[str, Tensor]
    numbers: Mapping[str, Any]


class StateStore:
    """The saved states of one run.

    Args:
        folder: The run's folder.
        keep: How many states to keep.
    """

    def __init__(self, folder: Path, keep: int) -> None:
        self.folder = folder / STATE_FOLDER
        self.keep = keep

    def save(self, state: RunState, *, step: int, epoch: int) -> Path:
        """Write a state, then remove all but the newest `keep`.

        If it cannot be written, the earlier states remain.
        """
        path = self.folder / f"step-{step:08d}-epoch-{epoch:05d}"
        temporary = self.folder / ".new"
        with storage_errors(path), rust_errors():
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir(parents=True)
            try:
                tensors = {name: tensor.contiguous() for name, tensor in state.tensors.items()}
                save_file(tensors, temporary / _TENSORS)
                numbers = {"schema_version": _SCHEMA_VERSION, **state.numbers}
                (temporary / _NUMBERS).write_text(json.dumps(numbers), encoding="utf-8")
                for name in (_TENSORS, _NUMBERS):
                    _to_disk(temporary / name)
                shutil.rmtree(path, ignore_errors=True)
                temporary.rename(path)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
        for old in self._all()[: -self.keep]:
            shutil.rmtree(old, ignore_errors=True)
        return path

    def newest(self) -> RunState | None:
        """Return the newest state, on the CPU; None if there is none.

        Raises:
            TrainingError: It is damaged.
        """
        states = self._all()
        logger.debug(
            "resuming from %s", states[-1] if states else "the start, since nothing was saved"
        )
        if not states:
            return None
        try:
            numbers = json.loads((states[-1] / _NUMBERS).read_text(encoding="utf-8"))
            # Copies: the loaded tensors map the file, and Windows cannot remove a mapped file.
            tensors = load_file(states[-1] / _TENSORS)
            return RunState({name: tensor.clone() for name, tensor in tensors.items()}, numbers)
        except (OSError, ValueError, SafetensorError) as error:
            raise TrainingError(
                f"Cannot read the state {states[-1]}: {error}",
                hint="Delete it to continue from the state before it, or from the start.",
            ) from error

    def clear(self) -> None:
        """Remove all states: the run is finished."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _all(self) -> list[Path]:
        """Return the complete states, oldest first."""
        return sorted(self.folder.glob("step-*"))


def newest_state(store: StateStore, processes: Processes) -> RunState | None:
    """Return the newest state, which process 0 reads and sends to the others; None without one.

    Raises:
        TrainingError: It is damaged.
    """
    read: list[RunState] = []

    def described() -> tuple[Mapping[str, Any], Mapping[str, tuple[Any, ...]]] | None:
        state = store.newest()
        if state is None:
            return None
        read.append(state)
        return state.numbers, {
            name: (tuple(tensor.shape), tensor.dtype) for name, tensor in state.tensors.items()
        }

    content = processes.first(described)
    if content is None:
        return None
    numbers, shapes = content
    tensors = dict(read[0].tensors) if read else {}
    for name, (shape, dtype) in shapes.items():
        tensors.setdefault(name, torch.empty(shape, dtype=dtype))
    processes.send([tensors[name] for name in shapes])
    return RunState(tensors, numbers)


def _to_disk(file: Path) -> None:
    """Wait until a file's content is on disk, so that a power cut cannot lose it."""
    descriptor = os.open(file, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
