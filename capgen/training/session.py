"""A run at work: from settings to a trainer, epoch after epoch, in events."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import Any

import torch
from numpy.typing import NDArray

from capgen.config import TrainConfig
from capgen.data.dataset import Dataset
from capgen.errors import DataError, TrainingError, TrainingStopped
from capgen.models.build import Captioning
from capgen.models.checkpoint import load_captioning
from capgen.models.folder import ModelFolder
from capgen.records import (
    EpochEvent,
    Event,
    Example,
    Notice,
    PreparationEvent,
    RunFinished,
    RunResumed,
    RunStarted,
    SampleEvent,
    TestEvent,
)
from capgen.training import order
from capgen.training.captioner import frozen_digest
from capgen.training.captions import CaptionCodec
from capgen.training.checkpoints import Checkpoints, Moment, environment
from capgen.training.features import feature_array
from capgen.training.inputs import FeatureInputs, Inputs, PhotoInputs
from capgen.training.objective import CaptionObjective
from capgen.training.photos import photo_array
from capgen.training.processes import Processes
from capgen.training.run_folder import BEST_EVAL, BEST_LOSS, ENVIRONMENT_FILE, LAST, RunFolder
from capgen.training.run_state import RunState, StateStore
from capgen.training.selection import LOSS, Selection
from capgen.training.stopping import StopRequest
from capgen.training.trainer import Trainer
from capgen.training.validate import Validation, Validator

_PRECISIONS = {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}


class Session:
    """One run; `events` does the work, from the start or from a saved state.

    Args:
        config: The run's settings.
        folder: The run's folder.
        dataset: What to train on.
        splits: Its examples: `train` and `val`, and `test` if that is to be measured.
        captioning: The captioner.
        device: Where to compute.
        processes: Who shares the work.
        stop: Whether to stop.
        resumed: Go on from the newest saved state, if there is one.
    """

    def __init__(
        self,
        config: TrainConfig,
        folder: RunFolder,
        dataset: Dataset,
        splits: Mapping[str, Sequence[Example]],
        captioning: Captioning,
        device: torch.device,
        processes: Processes,
        stop: StopRequest,
        *,
        resumed: bool,
    ) -> None:
        self.config = config
        self.folder = folder
        self.dataset = dataset
        self.splits = splits
        self.captioning = captioning
        self.device = device
        self.processes = processes
        self.stop = stop
        self.resumed = resumed
        self.main = processes.rank == 0
        self.store = StateStore(folder.path, config.keep_states)
        self.checkpoints = Checkpoints(folder, captioning, dataset, config, device)
        self.selection = Selection(config.eval_strategy)
        self.frozen = frozen_digest(captioning.model)
        self.epochs_done = 0
        self.started = time.monotonic()

    def events(self) -> Iterator[Event]:
        """Train, validate, save and test."""
        trainer, validator = yield from self._prepare()
        yield self._begin(trainer)
        while self.epochs_done < self.config.num_epochs:
            if self.config.patience and self.selection.stale >= self.config.patience:
                yield Notice(
                    message=f"No better model in {self.selection.stale} validations: stopped early"
                )
                break
            yield from self._epoch(trainer, validator)
        yield from self._test()
        yield self._finished(trainer)

    def _prepare(self) -> Generator[Event, None, tuple[Trainer, Validator]]:
        config, captioning = self.config, self.captioning
        codec = CaptionCodec.of(captioning, config.max_tokens)
        objective = CaptionObjective(
            captioning.model,
            cached=config.train_encoder == "none",
            label_smoothing=config.label_smoothing,
        )
        if not self.main:
            self.processes.wait()  # the first process makes the caches
        train_inputs = yield from self._inputs("train", objective)
        val_inputs = yield from self._inputs("val", objective)
        if self.main:
            self.processes.wait()
        captioning.model.to(self.device)
        if config.compile:
            objective.compile()
        rows = codec.encode_examples(self.splits["train"])
        trainer = Trainer(
            captioning,
            objective,
            train_inputs,
            rows,
            codec,
            config,
            self.device,
            self.processes,
            self.stop,
        )
        return trainer, self._validator(captioning, objective, "val", val_inputs, codec)

    def _validator(
        self,
        captioning: Captioning,
        objective: CaptionObjective,
        split: str,
        inputs: Inputs,
        codec: CaptionCodec,
    ) -> Validator:
        usual = 256 if self.device.type == "cuda" else 64
        return Validator(
            captioning,
            objective,
            self.splits[split],
            inputs,
            codec,
            batch_size=self.config.eval_batch_size or usual,
            generate=self.config.eval,
            processes=self.processes,
        )

    def _inputs(
        self, split: str, objective: CaptionObjective
    ) -> Generator[PreparationEvent, None, Inputs]:
        array: NDArray[Any]
        known: dict[str, Any] = {
            "split": split,
            "digest": self.dataset.digest,
            "workers": self.config.workers,
        }
        examples, preprocessor = self.splits[split], self.captioning.preprocessor
        if objective.cached:
            front = objective.front.to(self.device)
            making = feature_array(examples, front, preprocessor, device=self.device, **known)
        else:
            making = photo_array(examples, preprocessor, **known)
        array = yield from self._stoppable(making)
        if objective.cached:
            return FeatureInputs(array, self.device)
        return PhotoInputs(array, preprocessor, self.config, self.device)

    def _stoppable(
        self, making: Generator[PreparationEvent, None, NDArray[Any]]
    ) -> Generator[PreparationEvent, None, NDArray[Any]]:
        while True:
            try:
                event = next(making)
            except StopIteration as end:
                array: NDArray[Any] = end.value
                return array
            yield event
            if self.stop.signal:
                making.close()
                raise self._stopped("Stopped before the first step")

    def _begin(self, trainer: Trainer) -> Event:
        state = self.store.newest() if self.resumed else None
        if state is not None:
            return self._load(trainer, state)
        if self.main:
            if self.resumed:
                self.folder.forget_after(0)
            self.folder.write_record(ENVIRONMENT_FILE, environment(self.dataset, self.device))
        parameters = list(self.captioning.model.parameters())
        return RunStarted(
            run=str(self.folder.path),
            preset=self.config.preset,
            device=self.device.type,
            precision=_PRECISIONS[trainer.dtype],
            parameters=sum(p.numel() for p in parameters),
            trained=sum(p.numel() for p in parameters if p.requires_grad),
            images={split: len(examples) for split, examples in self.splits.items()},
            captions=sum(len(row) for row in trainer.rows),
            epochs=self.config.num_epochs,
            steps=trainer.steps,
        )

    def _load(self, trainer: Trainer, state: RunState) -> RunResumed:
        numbers = state.numbers
        if numbers["data"] != self.dataset.digest:
            raise DataError(
                "The data set is not the one this run was trained on so far",
                hint="Restore it, or start a new run with --init RUN/last.",
            )
        if numbers["frozen"] != self.frozen:
            raise TrainingError(
                "The pretrained weights are not those this run started from",
                hint="Restore that version of the model, or start a new run.",
            )
        trainer.load(state)
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
        )

    def _epoch(self, trainer: Trainer, validator: Validator) -> Iterator[Event]:
        epoch, begun = self.epochs_done + 1, time.monotonic()
        for event in trainer.epoch(epoch):
            if event is not None:
                yield event
            due = self.config.save_every and trainer.step % self.config.save_every == 0
            if due or trainer.stop_asked:
                self._save_state(trainer)
            if trainer.stop_asked:
                raise self._stopped(f"Stopped at step {trainer.step} of {trainer.steps}")
        trainer.check_finite()
        seconds = time.monotonic() - begun
        try:
            with trainer.average.applied():
                yield from self._epoch_over(epoch, seconds, trainer, validator)
        except TrainingStopped:
            self._save_state(trainer)
            raise
        self.epochs_done = epoch
        self._save_state(trainer)

    def _epoch_over(
        self, epoch: int, seconds: float, trainer: Trainer, validator: Validator
    ) -> Iterator[Event]:
        """Validate and save, with the averaged weights in place."""
        validation = None
        begun = time.monotonic()
        if epoch % self.config.eval_every == 0 or epoch == self.config.num_epochs:
            validation = validator.run(self._poll(trainer))
        yield EpochEvent(
            epoch=epoch,
            step=trainer.step,
            train_loss=trainer.meter.epoch_mean,
            val_loss=validation.loss if validation else None,
            metrics=validation.metrics if validation else {},
            seconds=seconds,
            eval_seconds=time.monotonic() - begun,
        )
        for name, value in self._select(validation):
            if self.main:
                moment = self._moment(epoch, trainer)
                yield self.checkpoints.save(name, moment, validation, value)
        if validation is not None:
            yield from self._samples(epoch, validation)

    def _select(self, validation: Validation | None) -> list[tuple[str, float | None]]:
        """Return the checkpoints to write, with what made them the best."""
        chosen: list[tuple[str, float | None]] = [(LAST, None)]
        if validation is None:
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

    def _poll(self, trainer: Trainer) -> Callable[[], None]:
        def poll() -> None:
            # Several processes would not hear of it at the same moment.
            if self.stop.signal and self.processes.count == 1:
                raise self._stopped(f"Stopped after step {trainer.step} of {trainer.steps}")

        return poll

    def _samples(self, epoch: int, validation: Validation) -> Iterator[SampleEvent]:
        """Show some random photos' captions."""
        examples = self.splits["val"]
        count = min(self.config.test_samples_per_epoch, len(examples))
        if not validation.captions or not count:
            return
        seed = order.random_seed(self.config.seed, order.SAMPLES, epoch)
        picks = torch.randperm(len(examples), generator=torch.Generator().manual_seed(seed))
        for number in picks[:count].tolist():
            example = examples[number]
            yield SampleEvent(
                epoch=epoch,
                image=example.image_id,
                caption=validation.captions[example.image_id],
                references=example.references,
                metrics=validation.per_image[example.image_id],
            )

    def _test(self) -> Iterator[Event]:
        """Measure the chosen model on the test split."""
        if "test" not in self.splits:
            return
        self.processes.wait()  # until the first process has written it
        folder = ModelFolder(self.folder.checkpoint(BEST_EVAL), BEST_EVAL)
        captioning = load_captioning(folder)
        objective = CaptionObjective(captioning.model, cached=self.config.train_encoder == "none")
        inputs = yield from self._inputs("test", objective)
        captioning.model.to(self.device)
        codec = CaptionCodec.of(captioning, self.config.max_tokens)
        validation = self._validator(captioning, objective, "test", inputs, codec).run()
        if self.main:
            self.checkpoints.add_test(BEST_EVAL, validation)
        yield TestEvent(
            name=BEST_EVAL,
            images=validation.images,
            loss=validation.loss,
            metrics=validation.metrics,
        )

    def _save_state(self, trainer: Trainer) -> None:
        """Save all that going on needs.

        Raises:
            StorageError: It cannot be written; the state before is as it was.
            TrainingError: The weights are no numbers; they are not saved.
        """
        trainer.check_finite()
        if not self.main:
            return
        state = trainer.state()
        numbers = {
            **state.numbers,
            "epochs_done": self.epochs_done,
            "selection": self.selection.to_dict(),
            "seconds": time.monotonic() - self.started,
            "events_size": self.folder.events_size,
            "data": self.dataset.digest,
            "frozen": self.frozen,
        }
        self.store.save(RunState(state.tensors, numbers), step=trainer.step, epoch=self.epochs_done)

    def _moment(self, epoch: int, trainer: Trainer) -> Moment:
        return Moment(epoch=epoch, step=trainer.step, seconds=time.monotonic() - self.started)

    def _stopped(self, message: str) -> TrainingStopped:
        return TrainingStopped(
            message,
            signal=self.stop.signal or signal.SIGTERM,
            hint=f"Go on with: capgen train --resume {self.folder.path}",
        )

    def _finished(self, trainer: Trainer) -> RunFinished:
        best = self.selection.best_eval
        if best is None and self.selection.best_loss < float("inf"):
            best = (LOSS, self.selection.best_loss)
        return RunFinished(
            run=str(self.folder.path),
            epochs=self.epochs_done,
            steps=trainer.step,
            seconds=time.monotonic() - self.started,
            best_loss=self.selection.best_loss if best else None,
            best_eval=best[1] if best else None,
            eval_metric=best[0] if best else "",
        )
