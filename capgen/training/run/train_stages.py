"""Runs in stages as generators of events: each stage is a run of its own, see `loop`.

A stage starts from the best model of the one before. `NAME/best-eval` is that of the newest
stage which has one, and so in the end the whole run's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from capgen.errors import CapgenError, DataError, TrainingStopped, UsageError
from capgen.paths import run_name, write_text
from capgen.records import (
    CheckpointSaved,
    Event,
    RunFinished,
    RunResumed,
    RunStarted,
    TestEvent,
)
from capgen.training.optimization.processes import Processes, join_processes
from capgen.training.plan.settings import to_toml
from capgen.training.plan.stages import STAGES_FOLDER, Plan, Stage, read_plan
from capgen.training.run import train
from capgen.training.run.event_log import ENVIRONMENT_FILE
from capgen.training.run.folder import CONFIG_FILE, RunFolder
from capgen.training.run.stages_folder import StagedFolder, has_stages, stage_finished
from capgen.training.run.stop_request import StopRequest
from capgen.training.tracking import TRACKING_SETTINGS, check_trackers
from capgen.training.tracking.base import Tracker
from capgen.training.tracking.follow import followed


def train_stages(
    plan: Plan, *, tracker: Tracker | None = None, stop: StopRequest | None = None
) -> Iterator[Event]:
    """Train stage after stage.

    Args:
        plan: The stages (see `capgen.training.plan.stages.resolve_plan`).
        tracker: Who else is told of events, stage by stage as of runs of their own.
        stop: Stops the run, with its state saved, once its signal is set.

    Yields:
        The events of each stage, from `StageStarted` to `StageFinished`, and `RunFinished`
        for the whole; the same events go to `events.jsonl` in the run's folder.

    Raises:
        UsageError: The run's folder is taken.
        CapgenError: As for `capgen.training.run.train.train`.
    """
    if not plan.staged:
        yield from train.train(plan.first, tracker=tracker, stop=stop)
        return
    processes = join_processes(plan.first.device)
    path = RunFolder.check_free(plan.first)
    if (path / STAGES_FOLDER).exists():
        raise UsageError(
            f"{path} already holds a training run",
            hint=f"Go on with --resume {run_name(path)}, or choose another --output-dir or --name.",
        )
    folder = StagedFolder(Path(processes.gather(str(path))[0]), plan)
    if processes.rank == 0:
        folder.write_plan()
    begun = False
    try:
        for event in _Staged(folder, processes, tracker, stop, {}).events((0, False)):
            begun = True
            yield event
    except CapgenError:
        if processes.rank == 0 and not begun:
            folder.discard_plan()
        raise


def resume_run(
    run: str | Path,
    *,
    tracker: Tracker | None = None,
    stop: StopRequest | None = None,
    **machine: Any,
) -> Iterator[Event]:
    """Go on with a run, in stages or not, where it was saved last.

    Args:
        run: The run's folder or name.
        tracker: As for `train_stages`.
        stop: As for `train_stages`.
        machine: Settings that may differ from the run's: see `loop.MACHINE_SETTINGS`.

    Yields:
        As `train_stages`.

    Raises:
        UsageError: There is no such run, it is over, or a setting may not differ.
        CapgenError: As for `capgen.training.run.train.train`.
    """
    found = RunFolder.find(run)
    if not has_stages(found):
        yield from train.resume(run, tracker=tracker, stop=stop, **machine)
        return
    train.check_resumable(found, run, machine)
    plan = read_plan(found.path / CONFIG_FILE)
    folder = StagedFolder(found.path, plan)
    processes = join_processes(machine.get("device", plan.first.device))
    if processes.rank == 0:
        folder.recover()
    place = processes.gather(folder.place)[0]
    yield from _Staged(folder, processes, tracker, stop, machine).events(place)


class _Staged:
    """A run in stages at work.

    Args:
        folder: Its folder.
        processes: Who shares the work.
        tracker: Who else is told.
        stop: Whether to stop.
        machine: Settings that differ from the plan's without changing the result.
    """

    def __init__(
        self,
        folder: StagedFolder,
        processes: Processes,
        tracker: Tracker | None,
        stop: StopRequest | None,
        machine: dict[str, Any],
    ) -> None:
        self.folder = folder
        self.plan = folder.plan
        self.processes = processes
        self.tracker = tracker
        self.stop = stop or StopRequest()
        config = dataclasses.replace(self.plan.first, **machine)
        check_trackers(config)
        self.tracked = config
        self.machine = {
            name: value for name, value in machine.items() if name not in TRACKING_SETTINGS
        }

    def events(self, place: tuple[int, bool]) -> Iterator[Event]:
        """Go through the stages from `place` on: stages that are over, the next one begun."""
        done, begun = place
        if self.processes.rank != 0:  # the first process has the events
            for stage in self.plan.stages[done:]:
                for _ in self._stage(stage, begun=begun and stage.number == done + 1):
                    pass
                self.processes.wait()
            return
        yield from followed(self._all(done, begun), self.folder, self.tracked, self.plan.to_dict())

    def _all(self, done: int, begun: bool) -> Iterator[Event]:
        for stage in self.plan.stages[done:]:
            yield from self._main(stage, begun=begun and stage.number == done + 1)
            # The others read what this process writes.
            self.processes.wait()
        if done == len(self.plan.stages):
            self.folder.gather_events()
        yield self._recorded(self.folder.final())

    def _main(self, stage: Stage, *, begun: bool) -> Iterator[Event]:
        """Pass on a stage's events, and keep the whole run's folder up to date."""
        started = False
        for event in self._stage(stage, begun=begun):
            if not started:  # not before: a mistake in the settings leaves nothing behind
                started = True
                yield self._recorded(self.folder.started(stage))
            if isinstance(event, CheckpointSaved | TestEvent):  # both write into a checkpoint
                self.folder.promote(stage, event.name)
            elif isinstance(event, RunStarted | RunResumed):
                self._check_data(stage)
                # The stage has taken back what came after its saved state; so does the whole.
                self.folder.gather_events()
                yield event
                continue
            elif isinstance(event, RunFinished):
                event = stage_finished(stage, event)
            yield self._recorded(event)

    def _stage(self, stage: Stage, *, begun: bool) -> Iterator[Event]:
        """Train one stage."""
        config = stage.config_in(self.folder.path)
        try:
            if begun:
                path = self.folder.stage_folder(stage).path
                if self.processes.rank == 0:
                    # The whole run may have been moved since.
                    write_text(path / CONFIG_FILE, to_toml(config))
                self.processes.wait()
                yield from train.resume(path, tracker=self.tracker, stop=self.stop, **self.machine)
            else:
                config = dataclasses.replace(config, **self.machine)
                yield from train.train(config, tracker=self.tracker, stop=self.stop)
        except TrainingStopped as error:
            error.hint = f"Go on with: capgen train --resume {run_name(self.folder.path)}"
            raise

    def _check_data(self, stage: Stage) -> None:
        """Check that a stage has the same data as the first one.

        Raises:
            DataError: It has not.
        """
        first, present = (
            self.folder.stage_folder(which).read_record(ENVIRONMENT_FILE).get("data", {})
            for which in (self.plan.stages[0], stage)
        )
        if first.get("digest") != present.get("digest"):
            raise DataError(
                "The data set is not the one the stages before were trained on",
                hint="Restore it, or start a new run with --init.",
            )

    def _recorded(self, event: Event) -> Event:
        """Record an event and return it."""
        self.folder.record(event)
        return event
