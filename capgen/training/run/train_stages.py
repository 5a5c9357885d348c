"""Runs in stages as generators of events: runs one after another, see `train`.

A stage starts from the best model of the one before. `NAME/best-eval` is that of the newest
stage that has one, and so in the end that of the whole run.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Unpack

from capgen.config import TrainConfig
from capgen.config.toml_files import read_toml
from capgen.config.training_keywords import MachineKeywords
from capgen.errors import CapgenError, ProcessLostError, TrainingStopped, UsageError
from capgen.paths import run_name, write_text
from capgen.records import (
    CheckpointSaved,
    Event,
    RunCreated,
    RunFinished,
    RunResumed,
    RunStarted,
    TestEvent,
)
from capgen.training.plan.settings import to_toml
from capgen.training.plan.stages import STAGES_FOLDER, Plan, Stage, read_plan
from capgen.training.processes.base import Processes
from capgen.training.processes.folders import SharedFolder
from capgen.training.processes.join import joined_processes
from capgen.training.run import train
from capgen.training.run.folder import CONFIG_FILE, RunFolder, only_trainer
from capgen.training.run.listeners import Listeners, run_to_end
from capgen.training.run.session import Session, how_to_go_on
from capgen.training.run.stages_folder import StagedFolder, stage_finished
from capgen.training.run.stop_request import StopRequest
from capgen.training.tracking import TRACKING_SETTINGS, check_trackers
from capgen.training.tracking.base import Tracker


def train_stages(
    plan: Plan, *, tracker: Tracker | None = None, stop: StopRequest | None = None
) -> Iterator[Event]:
    """Train stage after stage.

    Args:
        plan: The stages (see `capgen.training.plan.stages.resolve_plan`).
        tracker: Also receives the events; each stage is a run of its own to it.
        stop: Stops the run, with its state saved, once its signal is set.

    Returns:
        The events of each stage, from `StageStarted` to `StageFinished`, and `RunFinished`
        for the whole, which are also recorded in `events.jsonl` in the run's folder.

    Raises:
        UsageError: The run's folder is taken.
        CapgenError: As for `capgen.training.run.train.train`.
    """
    if not plan.staged:
        return train.train(plan.first, tracker=tracker, stop=stop)
    return _train_stages(plan, tracker, stop)


def _train_stages(plan: Plan, tracker: Tracker | None, stop: StopRequest | None) -> Iterator[Event]:
    with joined_processes(plan.first.device, train.START_STAGES) as processes:
        place = SharedFolder(processes, processes.first(lambda: _new_folder(plan)))
        folder = StagedFolder(place.here, plan)
        try:
            with only_trainer(processes, place.path):
                stages = _Stages(folder, place, processes, tracker, stop, {})
                if processes.rank == 0:
                    yield RunCreated(run=str(folder.path))
                yield from stages.run(0, started=False)
        except CapgenError:
            if processes.rank == 0 and not folder.events_size:
                folder.discard_plan()
            raise


def _new_folder(plan: Plan) -> Path:
    """Return the folder of a new run, with its settings in it."""
    path = RunFolder.check_free(plan.first)
    if (path / STAGES_FOLDER).exists():
        raise UsageError(
            f"{path} already holds a training run",
            hint=f"Continue with --resume {run_name(path)}, "
            "or choose another --output-dir or --name.",
        )
    StagedFolder(path, plan).write_plan()
    return path


def resume_run(
    run: str | Path,
    *,
    tracker: Tracker | None = None,
    stop: StopRequest | None = None,
    **machine: Unpack[MachineKeywords],
) -> Iterator[Event]:
    """Continue a run, in stages or not, from its last saved state.

    Args:
        run: The run's folder or name.
        tracker: As for `train_stages`.
        stop: As for `train_stages`.
        machine: Settings that may differ from the run's: see `train.MACHINE_SETTINGS`.

    Yields:
        As `train_stages`.

    Raises:
        UsageError: There is no such run, it is finished, another process trains it, or a setting
            may not differ.
        CapgenError: As for `capgen.training.run.train.train`.
    """
    with joined_processes(train.saved_device(run, machine), train.GO_ON) as processes:
        place = train.find_run(processes, run, machine)
        with only_trainer(processes, place.path):
            if "stage" not in read_toml(place.here / CONFIG_FILE):
                yield from train.go_on(place, processes, tracker=tracker, stop=stop, **machine)
                return
            folder = StagedFolder(place.here, read_plan(place.here / CONFIG_FILE))
            processes.first(folder.recover)
            done, started = processes.first(lambda: folder.place)
            stages = _Stages(folder, place, processes, tracker, stop, dict(machine))
            yield from stages.run(done, started=started)


class _Stages:
    """The stages of a run, with the listeners to the whole run."""

    def __init__(
        self,
        folder: StagedFolder,
        place: SharedFolder,
        processes: Processes,
        tracker: Tracker | None,
        stop: StopRequest | None,
        machine: dict[str, Any],
    ) -> None:
        self.folder = folder
        self.place = place
        self.plan = folder.plan
        self.processes = processes
        self.tracker = tracker
        self.stop = stop or StopRequest()
        config = dataclasses.replace(self.plan.first, **machine)
        check_trackers(config)
        self.machine = {
            name: value for name, value in machine.items() if name not in TRACKING_SETTINGS
        }
        # Only the first process has events.
        self.whole = Listeners(folder, config, self.plan.to_dict()) if not processes.rank else None

    def run(self, done: int, *, started: bool) -> Iterator[Event]:
        """Train the stages after the first `done`; `started` if the next one has begun."""
        if self.whole is None:
            for _ in self._train(done, started=started):
                pass
            return
        self.whole.start()
        try:
            yield from self._train(done, started=started)
            if done == len(self.plan.stages):
                self.folder.gather_events()
            yield from self.whole.hear(self.folder.final())
        except TrainingStopped:
            yield from self.whole.finish()
            raise
        finally:
            self.whole.close()

    def _train(self, done: int, *, started: bool) -> Iterator[Event]:
        for stage in self.plan.stages[done:]:
            try:
                session = self._session(stage, started=started and stage.number == done + 1)
                yield from run_to_end(session, self._listeners(stage, session))
            except (TrainingStopped, ProcessLostError) as error:
                error.hint = how_to_go_on(self.place.path, self.processes)
                raise
            self.processes.wait()  # the others read what the first process writes

    def _session(self, stage: Stage, *, started: bool) -> Session:
        if stage.number > 1:
            self.place.bring(str(stage.config.init))
        config = stage.config_in(self.folder.path)
        if not started:
            config = dataclasses.replace(config, **self.machine)
            return train.new_session(config, self.processes, self.stop)
        place = SharedFolder(
            self.processes, self.processes.first(lambda: self._saved_stage(stage, config))
        )
        if place.here != place.path:  # it names what this machine was sent
            write_text(place.here / CONFIG_FILE, to_toml(config))
        return train.saved_session(place, self.processes, self.stop, **self.machine)

    def _saved_stage(self, stage: Stage, config: TrainConfig) -> Path:
        path = self.folder.stage_folder(stage).path
        write_text(path / CONFIG_FILE, to_toml(config))  # the run may have been moved
        return path

    def _listeners(self, stage: Stage, session: Session) -> Listeners:
        own = (session.folder, session.config, session.config.to_dict(), self.tracker)
        if self.whole is None:
            return Listeners(*own)
        return _StageListeners(*own, whole=self.whole, run=self.folder, stage=stage)


class _StageListeners(Listeners):
    """Tells a stage's own listeners, then those of the whole run, and updates its folder."""

    def __init__(self, *own: Any, whole: Listeners, run: StagedFolder, stage: Stage) -> None:
        super().__init__(*own)
        self.whole = whole
        self.run = run
        self.stage = stage
        self.started = False

    def hear(self, event: Event, *, record: bool = True) -> list[Event]:
        return self._pass_on(super().hear(event, record=record))

    def finish(self) -> list[Event]:
        return self._pass_on(super().finish())

    def _pass_on(self, events: list[Event]) -> list[Event]:
        return [result for event in events for result in self._tell_whole(event)]

    def _tell_whole(self, event: Event) -> list[Event]:
        before = []
        if not self.started:  # not earlier: a mistake in the settings leaves nothing behind
            self.started = True
            before = self.whole.hear(self.run.started(self.stage))
        if isinstance(event, CheckpointSaved | TestEvent):  # both write into a checkpoint
            self.run.promote(self.stage, event.name)
        elif isinstance(event, RunStarted | RunResumed):
            self.run.check_data(self.stage)
            # The stage has dropped what came after its saved state; so does the whole run.
            self.run.gather_events()
            return before + self.whole.hear(event, record=False)
        elif isinstance(event, RunFinished):
            event = stage_finished(self.stage, event)
        return before + self.whole.hear(event)
