"""What a run is made of: settings, data and captioner; and what is made of those."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import torch

from capgen.config import TrainConfig
from capgen.data.dataset import Dataset, open_dataset
from capgen.models.build import Captioning
from capgen.records import Example, Notice, PreparationEvent
from capgen.training.captioner import make_captioner
from capgen.training.captions import CaptionCodec, Ids
from capgen.training.device import pick_device
from capgen.training.distill import Distilled, Teaching
from capgen.training.distill_teachers import make_teaching
from capgen.training.features import feature_array
from capgen.training.inputs import FeatureInputs, Inputs, PhotoInputs
from capgen.training.objective import CaptionObjective
from capgen.training.photos import decoded_photos
from capgen.training.processes import Processes
from capgen.training.scst import self_critical
from capgen.training.step_loss import CrossEntropy, StepLoss
from capgen.training.stopping import StopRequest
from capgen.training.trainer import Trainer
from capgen.training.validate import Validator


@dataclass(frozen=True, kw_only=True)
class Material:
    """What a run is made of.

    Attributes:
        config: The run's settings.
        dataset: What to train on.
        splits: Its examples: `train` and `val`, and `test` if that is to be measured.
        captioning: The captioner.
        device: Where to compute.
        processes: Who shares the work.
    """

    config: TrainConfig
    dataset: Dataset
    splits: Mapping[str, Sequence[Example]]
    captioning: Captioning
    device: torch.device
    processes: Processes

    @classmethod
    def gather(cls, config: TrainConfig, processes: Processes) -> Self:
        """Open the data set and make the captioner; finds most mistakes before a run begins.

        Raises:
            CapgenError: As `capgen.training.loop.train`.
        """
        device = processes.device or pick_device(config.device)
        dataset = open_dataset(config.dataset, config.data_dir)
        splits = {
            "train": dataset.split("train"),
            "val": dataset.split("val")[: config.eval_limit],
        }
        if config.test and "test" in dataset.counts:
            splits["test"] = dataset.split("test")[: config.eval_limit]
        torch.manual_seed(config.seed)
        captions = (text for example in splits["train"] for text in example.references)
        return cls(
            config=config,
            dataset=dataset,
            splits=splits,
            captioning=make_captioner(config, captions),
            device=device,
            processes=processes,
        )

    @cached_property
    def objective(self) -> CaptionObjective:
        """The captioner's loss."""
        return CaptionObjective(
            self.captioning.model,
            cached=self.config.train_encoder == "none",
            label_smoothing=self.config.label_smoothing,
        )

    @cached_property
    def codec(self) -> CaptionCodec:
        """How captions become ids."""
        return CaptionCodec.of(self.captioning, self.config.max_tokens)

    def inputs(self, split: str) -> Generator[PreparationEvent | Notice, None, Inputs]:
        """Return the photos of a split, or the frozen encoder's features of them."""
        known: dict[str, Any] = {"split": split, "workers": self.config.workers}
        examples, preprocessor = self.splits[split], self.captioning.preprocessor
        if self.objective.cached:
            front = self.objective.front.to(self.device)
            features = yield from feature_array(
                examples,
                front,
                preprocessor,
                digest=self.dataset.digest,
                device=self.device,
                **known,
            )
            return FeatureInputs(features, self.device)
        photos = yield from decoded_photos(examples, preprocessor, **known)
        # Mapped anew, copy on write: torch wants arrays that look writable.
        pixels = np.memmap(photos.path, dtype=np.uint8, mode="c", shape=photos.pixels.shape)
        return PhotoInputs(pixels, preprocessor, self.config, self.device, rows=photos.rows)

    def teaching(self) -> Generator[PreparationEvent, None, Teaching | None]:
        """Return what the run's teachers add to the loss; None if it has none."""
        if not self.config.teachers:
            return None
        return (
            yield from make_teaching(
                self.config,
                self.captioning,
                self.objective,
                self.codec,
                self.splits["train"],
                self.dataset.digest,
                self.device,
            )
        )

    def trainer(
        self, inputs: Inputs, stop: StopRequest, teaching: Teaching | None = None
    ) -> Trainer:
        """Return the trainer, with the captioner on its device."""
        self.captioning.model.to(self.device)
        if self.config.compile:
            self.objective.compile()
        rows = self.codec.encode_examples(self.splits["train"])
        return Trainer(
            self.captioning,
            self.objective,
            inputs,
            rows,
            self.codec,
            self.config,
            self.device,
            self.processes,
            stop,
            self._step_loss(rows, teaching),
        )

    def _step_loss(self, rows: Sequence[Sequence[Ids]], teaching: Teaching | None) -> StepLoss:
        """Return what to minimise, given the ids of the training captions."""
        if self.config.objective == "scst":
            return self_critical(
                self.captioning,
                self.objective,
                self.codec,
                [example.references for example in self.splits["train"]],
                rows,
                self.config,
                self.device,
            )
        if teaching is not None:
            return Distilled(self.objective, teaching, self.config.distill_weight)
        return CrossEntropy(self.objective)

    def validator(self, split: str, inputs: Inputs) -> Validator:
        """Return what measures the captioner on a split."""
        self.captioning.model.to(self.device)
        usual = 256 if self.device.type == "cuda" else 64
        return Validator(
            self.captioning,
            self.objective,
            self.splits[split],
            inputs,
            self.codec,
            batch_size=self.config.eval_batch_size or usual,
            generate=self.config.eval,
            processes=self.processes,
        )
