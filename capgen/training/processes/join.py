"""Joins the processes that a launcher started."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import torch

from capgen.errors import TrainingStopped, UsageError
from capgen.training.processes.base import Alone, Processes
from capgen.training.processes.watch import FAILED, LEFT


@contextlib.contextmanager
def joined_processes(device: str, task: str) -> Iterator[Processes]:
    """Join the processes that the launcher set up for `--device`, usually just this one.

    The others are told how this one ends.

    Args:
        device: Where to compute.
        task: What this process is to do; the others must be there for the same.

    Raises:
        UsageError: They are not.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        yield Alone()
        return
    from capgen.training.processes.group import Group  # takes long to import

    group = Group(cpu=device == "cpu" or (device == "auto" and not torch.cuda.is_available()))
    try:
        tasks = group.gather(task)
        for rank, other in enumerate(tasks):
            if other != tasks[0]:
                raise UsageError(
                    f"Process 0 of the run is to {tasks[0]}, process {rank} to {other}",
                    hint="Give every machine the same command.",
                )
        yield group
    except (TrainingStopped, KeyboardInterrupt, SystemExit, GeneratorExit):
        group.leave(LEFT)
        raise
    except BaseException:
        group.leave(FAILED)
        raise
    group.finish()
