"""What a run is made of: settings, data and captioner; and what is made of those."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any, Self

import numpy as np
import torch

from capgen.config import TrainConfig
from capgen.data.import_set import left_out
from capgen.data.mixture import Mixture, open_mixture
from capgen.models.build import Captioning
from capgen.models.torch_devices import choose_device
from capgen.records import Example, Notice, PreparationEvent
from capgen.training.data.epoch_order import Mix
from capgen.training.data.frozen_features import FrozenFront, feature_array
from capgen.training.data.images import decoded_images
from capgen.training.data.inputs import (
    FeatureInputs,
    ImageInputs,
    Inputs,
    InputsSlice,
    JoinedInputs,
)
from capgen.training.data.packed_captions import CaptionCodec, Ids
from capgen.training.model.make_captioner import make_captioner
from capgen.training.objectives.base import CrossEntropy, StepLoss
from capgen.training.objectives.cross_entropy import CaptionObjective
from capgen.training.objectives.distill.loss import Distilled, Teaching
from capgen.training.objectives.distill.teachers import check_teachers, make_teaching
from capgen.training.objectives.scst.loss import self_critical
from capgen.training.optimization.processes import Processes
from capgen.training.optimization.trainer import Trainer
from capgen.training.run.stop_request import StopRequest
from capgen.training.validation.validate import Validator
from capgen.training.validation.validate_sets import SetsValidator


@dataclass(frozen=True, kw_only=True)
class Material:
    """What a run is made of.

    Attributes:
        config: The run's settings.
        dataset: The data set, or several, to train on.
        parts: Split → data set → its examples: `train` and `val`, and `test` if that is to
            be measured.
        captioning: The captioner.
        device: Where to compute.
        processes: Who shares the work.
    """

    config: TrainConfig
    dataset: Mixture
    parts: Mapping[str, Mapping[str, Sequence[Example]]]
    captioning: Captioning
    device: torch.device
    processes: Processes

    @classmethod
    def gather(cls, config: TrainConfig, processes: Processes) -> Self:
        """Open the data set and make the captioner; finds most mistakes before a run begins.

        Raises:
            CapgenError: As `capgen.training.run.train.train`.
        """
        device = processes.device or choose_device(config.device)
        dataset = open_mixture(config.dataset, config.data_dir)
        parts = {
            "train": dataset.parts("train"),
            "val": dataset.parts("val", config.eval_limit),
        }
        if config.test and "test" in dataset.counts:
            parts["test"] = dataset.parts("test", config.eval_limit)
        torch.manual_seed(config.seed)
        examples = chain.from_iterable(parts["train"].values())
        captions = (text for example in examples for text in example.references)
        material = cls(
            config=config,
            dataset=dataset,
            parts=parts,
            captioning=make_captioner(config, captions),
            device=device,
            processes=processes,
        )
        if config.teachers:
            texts = [text for example in material.splits["train"] for text in example.references]
            check_teachers(config, material.captioning, material.codec, texts)
        return material

    @cached_property
    def splits(self) -> Mapping[str, Sequence[Example]]:
        """The examples of each split, of one data set after the other."""
        return {
            split: list(chain.from_iterable(parts.values())) for split, parts in self.parts.items()
        }

    @cached_property
    def mix(self) -> Mix:
        """How often the training images of each data set come."""
        return Mix(
            tuple(
                (len(examples), self.dataset.member(name).weight)
                for name, examples in self.parts["train"].items()
            )
        )

    def shares(self, split: str) -> dict[str, float]:
        """Return the share of each data set in the mean of what is measured on a split.

        It is the share of the training images in an epoch that are of that data set, among
        the data sets that have the split.
        """
        drawn = dict(zip(self.parts["train"], self.mix.drawn, strict=True))
        total = sum(drawn[name] for name in self.parts[split])
        return {name: drawn[name] / total for name in self.parts[split]}

    def set_figures(self) -> dict[str, dict[str, float]]:
        """Return how much of each data set there is, and how much it counts, for events."""
        drawn = dict(zip(self.parts["train"], self.mix.drawn, strict=True))
        shares = self.shares("val")
        return {
            name: {
                "weight": self.dataset.member(name).weight,
                "drawn": drawn[name],
                "share": shares.get(name, 0.0),
                **{split: len(parts[name]) for split, parts in self.parts.items() if name in parts},
            }
            for name in drawn
        }

    def notices(self) -> Iterator[Notice]:
        """Yield what there is to say of the data and the vocabulary before training."""
        for member in self.dataset.members:
            for notice in left_out(member.dataset):
                yield Notice(message=notice.message)
            if member.held_out:
                yield Notice(
                    message=f"{len(member.held_out)} training images of {member.name} are left "
                    "out: another data set has them in val or test"
                )
            if member.name not in self.parts["val"]:
                yield Notice(message=f"{member.name} has no val split: it is not measured")
        words = self.captioning.added_words
        if words:
            some = ", ".join(words[:10]) + (", …" if len(words) > 10 else "")
            yield Notice(message=f"{len(words)} words added to the vocabulary: {some}")

    @cached_property
    def objective(self) -> CaptionObjective:
        """The captioner's loss."""
        return CaptionObjective(
            self.captioning.model,
            cached=self.config.train_encoder == "none",
            label_smoothing=self.config.label_smoothing,
        )

    @cached_property
    def _front(self) -> FrozenFront:
        module = self.objective.front.to(self.device)
        return FrozenFront(module, self.captioning.preprocessor, self.device)

    @cached_property
    def codec(self) -> CaptionCodec:
        """How captions become ids."""
        return CaptionCodec.of(self.captioning, self.config.max_tokens)

    def inputs(self, split: str) -> Generator[PreparationEvent | Notice, None, Inputs]:
        """Return the images of a split, or the frozen encoder's features of them."""
        parts = []
        for name, examples in self.parts[split].items():
            parts.append((yield from self._inputs(split, name, examples)))
        return parts[0] if len(parts) == 1 else JoinedInputs(parts)

    def _inputs(
        self, split: str, name: str, examples: Sequence[Example]
    ) -> Generator[PreparationEvent | Notice, None, Inputs]:
        """Return the inputs of one data set, so that each has its own cache."""
        label = f"{split} of {name}" if self.dataset.several else split
        known: dict[str, Any] = {"workers": self.config.workers}
        preprocessor = self.captioning.preprocessor
        if self.objective.cached:
            features = yield from feature_array(
                examples,
                self._front,
                digest=self.dataset.member(name).key(split),
                split=split,
                **known,
            )
            return FeatureInputs(features, self.device)
        images = yield from decoded_images(examples, preprocessor, split=label, **known)
        # Mapped anew, copy on write: torch wants arrays that look writable.
        pixels = np.memmap(images.path, dtype=np.uint8, mode="c", shape=images.pixels.shape)
        return ImageInputs(pixels, preprocessor, self.config, self.device, rows=images.rows)

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
            mix=self.mix,
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

    def validator(self, split: str, inputs: Inputs) -> Validator | SetsValidator:
        """Return what measures the captioner on a split, of each data set on its own."""
        self.captioning.model.to(self.device)
        if not self.dataset.several:
            return self._validator(self.splits[split], inputs)
        validators, start = {}, 0
        for name, examples in self.parts[split].items():
            own = InputsSlice(inputs, start, len(examples))
            validators[name] = self._validator(examples, own)
            start += len(examples)
        return SetsValidator(validators, self.shares(split))

    def _validator(self, examples: Sequence[Example], inputs: Inputs) -> Validator:
        usual = 256 if self.device.type == "cuda" else 64
        return Validator(
            self.captioning,
            self.objective,
            examples,
            inputs,
            self.codec,
            batch_size=self.config.eval_batch_size or usual,
            generate=self.config.eval,
            processes=self.processes,
        )
