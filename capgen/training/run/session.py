"""The work of a run, as events: prepare, train epoch after epoch, validate, save, test."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

from capgen.errors import DataError, ProcessLostError, TrainingError, TrainingStopped
from capgen.paths import run_name
from capgen.records import EpochEvent, Event, Notice, RunFinished, RunResumed
from capgen.training.model.make_captioner import frozen_digest
from capgen.training.objectives.distill.teachers import teachers_digest
from capgen.training.optimization.trainer import Trainer
from capgen.training.optimization.trainer_state import load_trainer, trainer_state
from capgen.training.processes.base import Processes
from capgen.training.processes.folders import SharedFolder
from capgen.training.run.checkpoints import Checkpoints
from capgen.training.run.folder import BEST_EVAL, BEST_LOSS, ENVIRONMENT_FILE, LAST, RunFolder
from capgen.training.run.measure_test_split import measure_test_split
from capgen.training.run.prepare import prepare
from capgen.training.run.rising_loss import RisingLoss
from capgen.training.run.run_data import RunData, run_started
from capgen.training.run.saved_state import RunState, StateStore, newest_state
from capgen.training.run.stop_request import StopRequest
from capgen.training.validation.best_model import LOSS, Selection
from capgen.training.validation.language_limits import has_limits, passed_limits
from capgen.training.validation.samples import samples
from capgen.training.validation.validate import Validation, Validator


class Session:
    """One run; `events` does the work, from the start or from a saved state.

    Args:
        data: Settings, data and captioner.
        place: The run's folder.
        stop: Whether to stop.
        resumed: Continue from the newest saved state, if there is one.
    """

    def __init__(
        self, data: RunData, place: SharedFolder, stop: StopRequest, *, resumed: bool
    ) -> None:
        self.data = data
        self.place = place
        self.folder = folder = RunFolder(place.here)
        self.stop = stop
        self.resumed = resumed
        self.config = config = data.config
        self.dataset = data.dataset
        self.splits = data.splits
        self.captioning = data.learner.captioning
        self.device = data.learner.device
        self.processes = data.processes
        self.main = self.processes.rank == 0
        self.store = StateStore(folder.path, config.keep_states)
        self.checkpoints = Checkpoints(
            folder, self.captioning, self.dataset, config, self.device, texts=data.texts
        )
        self.selection = Selection(config.eval_strategy)
        self.frozen = frozen_digest(self.captioning.model) + teachers_digest(config)
        self.epochs_done = 0
        self.rising_loss = RisingLoss(config, self.captioning.model.decoder.config.vocab_size)
        self.started = time.monotonic()

    def events(self) -> Iterator[Event]:
        """Train, validate, save and test."""
        try:
            yield from self._work()
        except ProcessLostError as error:
            if error.stopped:  # with this one, as all processes of a launcher are
                raise self._stopped(f"Stopped in epoch {self.epochs_done + 1}") from error
            error.hint = how_to_go_on(self.place.path, self.processes)
            raise

    def _work(self) -> Iterator[Event]:
        earlier = self.folder.events_size
        trainer, validator = yield from prepare(self.data, self.frozen, self.stop)
        yield self._begin(trainer, earlier)
        if self.main and trainer.step == 0 and has_limits(self.config):
            yield self._save_start()
        self.stop.patient = True
        while self.epochs_done < self.config.num_epochs and not self.selection.limit_passed:
            if self.config.patience and self.selection.stale >= self.config.patience:
                yield Notice(
                    message=f"Stopped early: no better model in {self.selection.stale} validations"
                )
                break
            yield from self._epoch(trainer, validator)
        self.stop.patient = False
        if "test" in self.splits:
            yield from measure_test_split(self.data, self.place, self.checkpoints)
        yield self._finished(trainer)

    def _begin(self, trainer: Trainer, earlier: int) -> Event:
        """Start or load the trainer; `earlier` are the bytes of events of earlier processes."""
        state = newest_state(self.store, self.processes) if self.resumed else None
        if state is not None:
            return self._load(trainer, state)
        trainer.start_alike()
        if self.main:
            if self.resumed:
                self.folder.forget_first(earlier)
            self.folder.write_record(ENVIRONMENT_FILE, self.checkpoints.environment())
        return run_started(self.data, self.folder, trainer)

    def _load(self, trainer: Trainer, state: RunState) -> RunResumed:
        numbers = state.numbers
        if numbers["data"] != self.data.digest:
            raise DataError(
                "The data set has changed since this run started",
                hint="Restore it, or start a new run with --init RUN/last.",
            )
        if numbers["frozen"] != self.frozen:
            raise TrainingError(
                "The pretrained weights have changed since this run started",
                hint="Restore that version of the model, or start a new run.",
            )
        # The model that it started from may have been replaced since.
        lineage = self.folder.read_record(ENVIRONMENT_FILE).get("lineage")
        if isinstance(lineage, list):
            self.checkpoints.lineage = lineage
        load_trainer(trainer, state)
        self.selection = Selection.from_dict(numbers["selection"])
        self.epochs_done = numbers["epochs_done"]
        self.started -= numbers["seconds"]
        if self.main:
            self.folder.forget_after(numbers["events_size"])
        return RunResumed(
            run=str(self.folder.path),
            epoch=self.epochs_done,
            step=trainer.step,
            epochs=self.config.num_epochs,
            steps=trainer.steps,
            processes=self.processes.count,
            machines=self.processes.machines,
        )

    def _epoch(self, trainer: Trainer, validator: Validator | None) -> Iterator[Event]:
        epoch, started = self.epochs_done + 1, time.monotonic()
        for event in self._saved_if_lost(trainer, trainer.epoch(epoch)):
            if event is not None:
                yield event
            due = self.config.save_every and trainer.step % self.config.save_every == 0
            if due or trainer.stop_asked:
                self._save_state(trainer)
            if trainer.stop_asked:
                raise self._stopped(f"Stopped at step {trainer.step} of {trainer.steps}")
        trainer.check_finite()
        yield from self.rising_loss.take(epoch, trainer.meter)
        seconds = time.monotonic() - started
        if trainer.weights.sharded:
            # A process that ends in what follows could not give its part of the state.
            self._save_state(trainer)
        try:
            with trainer.average.applied(), trainer.weights.whole():
                yield from self._epoch_over(epoch, seconds, trainer, validator)
        except (TrainingStopped, ProcessLostError):
            if not trainer.weights.sharded:
                self._save_state(trainer)
            raise
        self.epochs_done = epoch
        self._save_state(trainer)
        self._stop_if_asked(trainer)

    def _saved_if_lost(
        self, trainer: Trainer, events: Iterator[Event | None]
    ) -> Iterator[Event | None]:
        """Pass on the events of an epoch; save the state if another process ends."""
        try:
            yield from events
        except ProcessLostError:
            # On a GPU, steps may be under way whose gradients lack a share.
            if trainer.device.type == "cpu" and not trainer.weights.sharded:
                self._save_state(trainer)
            raise

    def _epoch_over(
        self, epoch: int, seconds: float, trainer: Trainer, validator: Validator | None
    ) -> Iterator[Event]:
        """Validate and save the averaged weights, which are in place."""
        validation = None
        started = time.monotonic()
        last = epoch == self.config.num_epochs
        if validator is not None and (last or epoch % self.config.eval_every == 0):
            validation = validator.run(lambda: self._stop_if_asked(trainer))
        yield EpochEvent(
            epoch=epoch,
            step=trainer.step,
            train_loss=trainer.meter.epoch_mean,
            train_numbers=trainer.meter.epoch_numbers,
            val_loss=validation.loss if validation else None,
            metrics=validation.metrics if validation else {},
            language=validation.language if validation else {},
            sets=validation.figures if validation else {},
            seconds=seconds,
            eval_seconds=time.monotonic() - started,
        )
        passed = passed_limits(self.config, epoch, validation)
        self.selection.limit_passed = bool(passed)
        chosen = self._select(validation)
        if validator is None and last:
            chosen.append((BEST_EVAL, None))
        for name, value in chosen:
            if self.main:
                yield self.checkpoints.save(
                    name,
                    validation,
                    value,
                    epoch=epoch,
                    step=trainer.step,
                    seconds=self._seconds(),
                    tensors=trainer.weights.state_dict(),
                )
        if validation is not None:
            yield from samples(self.config, epoch, self.splits["val"], validation)
        yield from passed

    def _save_start(self) -> Event:
        """Save the model that the run starts from: the best until one is within the limits."""
        return self.checkpoints.save(
            BEST_EVAL, None, None, epoch=0, step=0, seconds=self._seconds()
        )

    def _select(self, validation: Validation | None) -> list[tuple[str, float | None]]:
        """Return the checkpoints to write, each with the figure that made it the best."""
        chosen: list[tuple[str, float | None]] = [(LAST, None)]
        if validation is None or self.selection.limit_passed:
            return chosen
        lowest = self.selection.take_loss(validation.loss)
        if lowest:
            chosen.append((BEST_LOSS, validation.loss))
        if not validation.metrics:
            if lowest:  # without scores, the loss decides
                chosen.append((BEST_EVAL, validation.loss))
        elif self.selection.take_scores(validation.metrics):
            best = self.selection.best_eval
            chosen.append((BEST_EVAL, best[1] if best else None))
        return chosen

    def _stop_if_asked(self, trainer: Trainer) -> None:
        # Launchers stop all processes. Those that wait for this one notice that it ends.
        if self.stop.signal:
            raise self._stopped(f"Stopped after step {trainer.step} of {trainer.steps}")

    def _save_state(self, trainer: Trainer) -> None:
        """Save everything needed to continue."""
        trainer.check_finite()  # bad weights must not replace good ones
        if not self.main and not trainer.weights.sharded:
            return
        state = trainer_state(trainer)
        if not self.main:
            return
        numbers = {
            **state.numbers,
            "epochs_done": self.epochs_done,
            "selection": self.selection.to_dict(),
            "seconds": self._seconds(),
            "events_size": self.folder.events_size,
            "data": self.data.digest,
            "frozen": self.frozen,
        }
        self.store.save(RunState(state.tensors, numbers), step=trainer.step, epoch=self.epochs_done)

    def _seconds(self) -> float:
        return time.monotonic() - self.started

    def _stopped(self, message: str) -> TrainingStopped:
        return TrainingStopped(
            message,
            signal=self.stop.signal or signal.SIGTERM,
            hint=how_to_go_on(self.place.path, self.processes),
        )

    def _finished(self, trainer: Trainer) -> RunFinished:
        best = self.selection.best_eval
        if best is None and self.selection.best_loss < float("inf"):
            best = (LOSS, self.selection.best_loss)
        return RunFinished(
            run=str(self.folder.path),
            epochs=self.epochs_done,
            steps=trainer.step,
            seconds=self._seconds(),
            best_loss=self.selection.best_loss if best else None,
            best_eval=best[1] if best else None,
            eval_metric=best[0] if best else "",
        )


def how_to_go_on(run: Path, processes: Processes) -> str:
    """Return what to do to continue a run."""
    command = f"Continue with: capgen train --resume {run_name(run)}"
    if processes.count == 1:
        return command
    return f"{command}, with the same launcher; any number of processes will do"
