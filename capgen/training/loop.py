"""A training run as a generator of events. Never prints: the command line renders.

Every checkpoint (`last`, `best-loss`, `best-eval`) is a complete model folder with the
averaged weights, which are also what validation measures.
"""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Any

import torch
from numpy.typing import NDArray
from transformers.utils.logging import disable_progress_bar

from capgen.config import TrainConfig
from capgen.data.dataset import Dataset, open_dataset
from capgen.models.build import Captioning
from capgen.models.checkpoint import save_captioning
from capgen.models.folder import Provenance
from capgen.records import (
    CheckpointSaved,
    EpochEvent,
    Event,
    Example,
    PreparationEvent,
    RunFinished,
    RunStarted,
)
from capgen.training.captioner import make_captioner
from capgen.training.captions import CaptionCodec
from capgen.training.device import hardware, memory_errors, pick_device
from capgen.training.features import feature_array
from capgen.training.inputs import FeatureInputs, Inputs, PhotoInputs
from capgen.training.objective import CaptionObjective
from capgen.training.photos import photo_array
from capgen.training.run_folder import RunFolder
from capgen.training.trainer import Trainer
from capgen.training.validate import EVAL_METRIC, Validation, Validator

LAST, BEST_LOSS, BEST_EVAL = "last", "best-loss", "best-eval"


def train(config: TrainConfig) -> Iterator[Event]:
    """Train a captioner.

    Seeds torch's global generator (new weights, dropout) with `config.seed`.

    Args:
        config: The run's settings (see `capgen.config.train_config`).

    Yields:
        What happens, as it happens; the same events go to `events.jsonl` in the run's
        folder. The last one is `RunFinished`.

    Raises:
        UsageError: Settings contradict each other, or the run's folder is taken.
        DataError: Captions, photos or a split are missing or malformed.
        ModelError: A part of the model cannot be found or used.
        TrainingError: The device is not there, or training diverged.
        StorageError: Something cannot be written.
    """
    disable_progress_bar()  # transformers' own, for every file it reads or writes
    device = pick_device(config.device)
    dataset = open_dataset(config.dataset, config.data_dir)
    splits = {"train": dataset.split("train"), "val": dataset.split("val")[: config.eval_limit]}
    torch.manual_seed(config.seed)
    captions = (text for example in splits["train"] for text in example.references)
    captioning = make_captioner(config, captions)
    folder = RunFolder.create(config)
    run = _Run(config, folder, dataset, splits, captioning, device)
    for event in run.events():
        folder.record(event)
        yield event


class _Run:
    """One run; `events` does the work."""

    def __init__(
        self,
        config: TrainConfig,
        folder: RunFolder,
        dataset: Dataset,
        splits: Mapping[str, Sequence[Example]],
        captioning: Captioning,
        device: torch.device,
    ) -> None:
        self.config = config
        self.folder = folder
        self.dataset = dataset
        self.splits = splits
        self.captioning = captioning
        self.device = device
        self.started = time.monotonic()
        self.best_loss = math.inf
        self.best_eval = -math.inf

    def events(self) -> Iterator[Event]:
        config, captioning, device = self.config, self.captioning, self.device
        codec = CaptionCodec.of(captioning, config.max_tokens)
        objective = CaptionObjective(
            captioning.model,
            cached=config.train_encoder == "none",
            label_smoothing=config.label_smoothing,
        )
        train_inputs = yield from self._inputs("train", objective)
        val_inputs = yield from self._inputs("val", objective)
        captioning.model.to(device)
        if config.compile:
            objective.compile()
        rows = codec.encode_examples(self.splits["train"])
        trainer = Trainer(captioning, objective, train_inputs, rows, codec, config, device)
        validator = Validator(
            captioning,
            objective,
            self.splits["val"],
            val_inputs,
            codec,
            batch_size=config.eval_batch_size or (256 if device.type == "cuda" else 64),
            generate=config.eval,
        )
        yield self._started(trainer)
        for epoch in range(1, config.num_epochs + 1):
            begun = time.monotonic()
            yield from trainer.epoch(epoch)
            seconds = time.monotonic() - begun
            with trainer.average.applied():
                yield from self._epoch_over(epoch, seconds, trainer, validator)
        yield self._finished(trainer)

    def _inputs(
        self, split: str, objective: CaptionObjective
    ) -> Generator[PreparationEvent, None, Inputs]:
        examples, preprocessor = self.splits[split], self.captioning.preprocessor
        known: dict[str, Any] = {
            "split": split,
            "digest": self.dataset.digest,
            "workers": self.config.workers,
        }
        array: NDArray[Any]
        if objective.cached:
            front = objective.front.to(self.device)
            array = yield from feature_array(
                examples, front, preprocessor, device=self.device, **known
            )
            return FeatureInputs(array, self.device)
        array = yield from photo_array(examples, preprocessor, **known)
        return PhotoInputs(array, preprocessor, self.config, self.device)

    def _epoch_over(
        self, epoch: int, seconds: float, trainer: Trainer, validator: Validator
    ) -> Iterator[Event]:
        """Validate and save, with the averaged weights in place."""
        validation = None
        begun = time.monotonic()
        if epoch % self.config.eval_every == 0 or epoch == self.config.num_epochs:
            with memory_errors("eval_batch_size", validator.batch_size):
                validation = validator.run()
        yield EpochEvent(
            epoch=epoch,
            step=trainer.step,
            train_loss=trainer.epoch_loss,
            val_loss=validation.loss if validation else None,
            metrics=validation.metrics if validation else {},
            seconds=seconds,
            eval_seconds=time.monotonic() - begun,
        )
        if validation:
            if validation.loss < self.best_loss:
                self.best_loss = validation.loss
                yield self._save(BEST_LOSS, epoch, trainer, validation, validation.loss)
            value = validation.metrics.get(EVAL_METRIC)
            if value is not None and value > self.best_eval:
                self.best_eval = value
                yield self._save(BEST_EVAL, epoch, trainer, validation, value)
        yield self._save(LAST, epoch, trainer, validation, None)

    def _save(
        self,
        name: str,
        epoch: int,
        trainer: Trainer,
        validation: Validation | None,
        value: float | None,
    ) -> CheckpointSaved:
        path = self.folder.checkpoint(name)
        progress = {"epoch": epoch, "step": trainer.step, "hardware": hardware(self.device)}
        save_captioning(path, self.captioning, self._provenance(progress, validation))
        return CheckpointSaved(
            name=name, path=str(path), epoch=epoch, step=trainer.step, value=value
        )

    def _provenance(self, progress: Mapping[str, Any], validation: Validation | None) -> Provenance:
        elapsed = round(time.monotonic() - self.started, 1)
        metrics: dict[str, Any] = {}
        if validation:
            metrics["val"] = {
                "loss": validation.loss,
                **validation.metrics,
                "images": len(self.splits["val"]),
                "protocol": dict(validation.protocol),
                "decoding": self.captioning.model.generation_config.to_diff_dict(),
            }
        return Provenance(
            preset=self.config.preset,
            data={
                "name": self.dataset.name,
                "digest": self.dataset.digest,
                "counts": self.dataset.counts,
                "split": self.dataset.split_source,
                "licence": self.dataset.licence,
            },
            training={**self.config.to_dict(), **progress, "seconds": elapsed},
            metrics=metrics,
        )

    def _started(self, trainer: Trainer) -> RunStarted:
        parameters = list(self.captioning.model.parameters())
        precision = "bf16" if trainer.dtype == torch.bfloat16 else "fp32"
        return RunStarted(
            run=str(self.folder.path),
            preset=self.config.preset,
            device=self.device.type,
            precision=precision,
            parameters=sum(p.numel() for p in parameters),
            trained=sum(p.numel() for p in parameters if p.requires_grad),
            images={split: len(examples) for split, examples in self.splits.items()},
            captions=sum(len(row) for row in trainer.rows),
            epochs=self.config.num_epochs,
            steps=trainer.steps,
        )

    def _finished(self, trainer: Trainer) -> RunFinished:
        scored = math.isfinite(self.best_eval)
        return RunFinished(
            run=str(self.folder.path),
            epochs=self.config.num_epochs,
            steps=trainer.step,
            seconds=time.monotonic() - self.started,
            best_loss=self.best_loss if math.isfinite(self.best_loss) else None,
            best_eval=self.best_eval if scored else None,
            eval_metric=EVAL_METRIC if scored else "",
        )
