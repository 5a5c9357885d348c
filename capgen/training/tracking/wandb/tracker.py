"""Weights & Biases from the training process, which never waits for it.

Events are sent to a process of its own (`process`), which alone imports wandb. Nothing that goes
wrong there (no network, a full disk, a service that died or hangs) can stop training, print over
its screen or take its Ctrl-C.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from capgen.config import TrainConfig
from capgen.models.run_events import Axis, read_events
from capgen.records import (
    CheckpointSaved,
    Event,
    RunFinished,
    RunResumed,
    RunStarted,
    SampleEvent,
    TestEvent,
)
from capgen.training.tracking.wandb.worker import Worker

FOLDER = "wandb"  # in the run's folder
STATE_FILE = "run.json"  # in that one
_MODULE = "capgen.training.tracking.wandb.process"
# Seconds to wait for the process at the end of a run, finished or interrupted; afterwards it
# continues to send on its own.
_PATIENCE = 120.0
_IMPATIENCE = 10.0


class WandbTracker:
    """Records a run in Weights & Biases.

    Args:
        config: The run's settings.
        tell: Called with messages for the user.
        patience: Seconds to wait at the end of a finished run.
    """

    def __init__(
        self, config: TrainConfig, tell: Callable[[str], None], *, patience: float = _PATIENCE
    ) -> None:
        self._config = config
        self._tell = tell
        self._patience = patience
        self._worker: Worker | None = None
        self._run = Path()
        self._axis = Axis()
        self._samples: list[SampleEvent] = []
        self._over = False

    def start(self, run: Path, settings: Mapping[str, Any]) -> None:
        """Start the process; a run that it recorded before is continued."""
        if os.environ.get("WANDB_MODE") == "disabled":
            self._tell("W&B: off, because WANDB_MODE is 'disabled'")
            return
        self._run = run.absolute()
        self._worker = start_process(self._run, self._tell)
        self._worker.send(
            "start",
            project=self._config.wandb_project,
            name=self._config.wandb_run_name or self._run.name,
            config=dict(settings),
            checkpoints=self._config.wandb_checkpoints,
        )

    def event(self, event: Event) -> None:
        """Pass on an event."""
        if self._worker is None:
            return
        if isinstance(event, SampleEvent):
            self._samples.append(event)  # those of an epoch make one table
            return
        self._send_samples(self._worker)
        point = self._axis.take(event)
        if isinstance(event, RunStarted | RunResumed):
            # A resumed run has events from before this process.
            self._axis = Axis.along(read_events(self._run))
        if isinstance(event, RunStarted):
            self._worker.send("config", config={"run": event.to_dict()})
        elif isinstance(event, CheckpointSaved):
            self._worker.send("checkpoint", name=event.name)
        if point is not None:
            kind = "summary" if isinstance(event, TestEvent) else "log"
            self._worker.send(kind, step=point.step, epoch=point.epoch, values=dict(point.values))
        self._over = self._over or isinstance(event, RunFinished)

    def finish(self) -> None:
        """Let the process send the rest, and wait for it for a limited time."""
        if self._worker is None:
            return
        self._send_samples(self._worker)
        worker, self._worker = self._worker, None
        if not worker.close(self._patience if self._over else _IMPATIENCE):
            self._tell(f"W&B: still sending; process {worker.pid} continues in the background")

    def _send_samples(self, worker: Worker) -> None:
        samples, self._samples = self._samples, []
        if samples:
            rows = [sample.to_dict() for sample in samples]
            worker.send("samples", step=self._axis.step, epoch=self._axis.epoch, rows=rows)


def start_process(run: Path, tell: Callable[[str], None]) -> Worker:
    """Start the process that records a run; wandb writes into `wandb` in the run's folder."""
    folder = run / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    return Worker(
        _MODULE,
        folder=run,
        log=folder / "log.txt",
        environment={
            # wandb's own defaults for these are in the user's home.
            "WANDB_DIR": str(run),
            "WANDB_DATA_DIR": str(folder / "data"),
            "WANDB_CACHE_DIR": str(folder / "cache"),
            "WANDB_ARTIFACT_DIR": str(folder / "artifacts"),
            "WANDB_ERROR_REPORTING": "false",
            "WANDB_SILENT": "true",
        },
        tell=tell,
    )
