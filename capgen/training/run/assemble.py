"""Builds the parts of a run: images as tensors, the trainer, the validator."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence

import numpy as np

from capgen.models.out_of_memory import device_memory_errors
from capgen.records import Example, Notice, PreparationEvent
from capgen.training.data.frozen_features import feature_inputs
from capgen.training.data.images import decoded_images
from capgen.training.data.inputs import (
    ImageInputs,
    Inputs,
    JoinedInputs,
    NoImages,
    RowInputs,
    placed_rows,
)
from capgen.training.data.packed_captions import Ids
from capgen.training.objectives.base import StepLoss
from capgen.training.objectives.cross_entropy import CrossEntropy
from capgen.training.objectives.distill.loss import Distilled, Teaching
from capgen.training.objectives.encoder_losses import with_encoder_losses
from capgen.training.objectives.scst.loss import self_critical
from capgen.training.objectives.text_loss import TextAlone, with_text
from capgen.training.optimization.trainer import Trainer
from capgen.training.run.run_data import RunData, shares
from capgen.training.run.stop_request import StopRequest
from capgen.training.validation.validate import ValidationSet, Validator

Preparing = Generator[PreparationEvent | Notice, None, dict[str, RowInputs]]


def split_inputs(data: RunData, split: str) -> Preparing:
    """Return each data set's images of a split, or the frozen encoder's features of them."""
    inputs: dict[str, RowInputs] = {}
    for name, examples in data.parts[split].items():
        inputs[name] = yield from _inputs(data, split, name, examples)
    return inputs


def _inputs(
    data: RunData, split: str, name: str, examples: Sequence[Example]
) -> Generator[PreparationEvent | Notice, None, RowInputs]:
    learner, workers = data.learner, data.config.workers
    numbers = data.needed(split, name)
    used = [examples[number] for number in numbers.tolist()]
    if learner.objective.cached:
        digest = data.dataset.member(name).key(split)
        return (
            yield from feature_inputs(
                examples, numbers, learner.frozen_front, split, digest, workers, data.crew
            )
        )
    label = f"{split} of {name}" if data.dataset.several else split
    preprocessor = learner.captioning.preprocessor
    with data.crew.leader_first():  # its threads use all cores
        images = yield from decoded_images(used, preprocessor, split=label, workers=workers)
    # Mapped again, copy on write: torch wants arrays that look writable.
    pixels = np.memmap(images.path, dtype=np.uint8, mode="c", shape=images.pixels.shape)
    rows = placed_rows(images.rows, numbers, len(examples), len(pixels))
    return ImageInputs(pixels, preprocessor, data.config, learner.device, rows=rows)


def build_trainer(
    data: RunData, inputs: Mapping[str, RowInputs], stop: StopRequest, teaching: Teaching | None
) -> Trainer:
    """Return the trainer, with the captioner on its device.

    For a run on text alone, each caption of the text data takes the place of an image.

    Raises:
        DeviceMemoryError: The device has too little memory for the captioner.
    """
    learner = data.learner
    if data.config.sees_images:
        rows = learner.codec.encode_examples(data.splits["train"])
        parts = list(inputs.values())
        images: Inputs = parts[0] if len(parts) == 1 else JoinedInputs(parts)
    else:
        rows = [[ids] for ids in learner.codec.encode(data.texts.captions)]
        width = learner.captioning.model.config.encoder.hidden_size
        images = NoImages(len(rows), width, learner.device)
    with device_memory_errors(
        "The device has too little memory for the model and the average of its weights",
        hint="Use a smaller --encoder and --decoder, or another --device.",
    ):
        if not data.config.shard_decoder:  # whole, it may not fit
            learner.captioning.model.to(learner.device)
        if data.config.compile:
            learner.objective.compile()
        return Trainer(
            learner,
            images,
            rows,
            data.config,
            step_loss=_step_loss(data, rows, teaching),
            mix=data.mix if data.config.sees_images else None,
            processes=data.processes,
            stop=stop,
        )


def _step_loss(data: RunData, rows: Sequence[Sequence[Ids]], teaching: Teaching | None) -> StepLoss:
    if not data.config.sees_images:
        return TextAlone(data.learner.objective)
    captions = _captions_loss(data, rows, teaching)
    return with_text(captions, data.learner, data.texts.captions, data.config)


def _captions_loss(
    data: RunData, rows: Sequence[Sequence[Ids]], teaching: Teaching | None
) -> StepLoss:
    config, learner = data.config, data.learner
    references = [example.references for example in data.splits["train"]]
    if config.objective == "scst":
        return self_critical(learner, references, rows, config)
    captions: StepLoss = CrossEntropy(learner.objective)
    if teaching is not None:
        captions = Distilled(learner.objective, teaching, config.distill_weight)
    return with_encoder_losses(captions, learner, references, config)


def build_validator(data: RunData, split: str, inputs: Mapping[str, RowInputs]) -> Validator:
    """Return the validator on a split; the captioner is on its device."""
    sets = {
        name: ValidationSet(examples, inputs[name]) for name, examples in data.parts[split].items()
    }
    return Validator(
        data.learner,
        sets,
        data.config,
        shares=shares(data, split) if data.dataset.several else None,
        processes=data.processes,
    )
