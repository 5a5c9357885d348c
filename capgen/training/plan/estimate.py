"""What a run needs: parameters by part, memory and time, measured on two batches."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from transformers.utils.logging import disable_progress_bar

from capgen.config import TrainConfig
from capgen.data.mixture import open_mixture
from capgen.models.build import Captioning
from capgen.models.out_of_memory import device_memory_errors
from capgen.models.torch_devices import choose_device
from capgen.records import Example
from capgen.training.concepts.add_concepts import check_concepts, prepare_concepts
from capgen.training.data.epoch_order import Mix
from capgen.training.data.text_captions import TextCaptions, read_text_captions
from capgen.training.model.make_captioner import make_captioner
from capgen.training.objectives.learner import Learner
from capgen.training.optimization.micro_batches import images_per_pass
from capgen.training.optimization.optimizer import part_of, peak_rates
from capgen.training.plan.measure_batch import MOST_IMAGES, measure_batch

_WEIGHT_BYTES = 4  # float32
# Gradient, AdamW's two moments and the average of the weights, each float32.
_TRAINED_BYTES = 16


@dataclass(frozen=True, kw_only=True)
class Part:
    """Parameters that share a learning rate.

    Attributes:
        name: `encoder` or `decoder` (their pretrained parts), `concepts` or `new`.
        parameters: How many there are.
        trained: How many of them are trained.
        learning_rate: Their peak learning rate.
    """

    name: str
    parameters: int
    trained: int
    learning_rate: float


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a run needs, without validation and teachers.

    Attributes:
        parts: The model's parameters.
        images: Training images per epoch; captions of a run on text alone.
        steps: Steps of the whole run.
        device: Where it computes.
        model_bytes: Weights, gradients, moments and average.
        activation_bytes: What a forward pass keeps for the backward pass.
        seconds: Time of all steps, from the time of one batch.
    """

    parts: tuple[Part, ...]
    images: int
    steps: int
    device: str
    model_bytes: int
    activation_bytes: int
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Return the estimate as JSON types."""
        return asdict(self)


@dataclass(frozen=True)
class TrainingData:
    """The training images and captions of a run, which all its stages share."""

    examples: Sequence[Example]
    images: int
    texts: TextCaptions


def read_training_data(config: TrainConfig) -> TrainingData:
    """Read what a run trains on.

    Raises:
        DataError: Captions, images or a split are missing or malformed.
    """
    mixture = open_mixture(config.dataset, config.data_dir)
    sets = mixture.parts("train")
    mix = Mix.of(mixture.member(name).counted(own) for name, own in sets.items())
    # With the captions of measured images: finding those takes long, and they are few.
    texts = read_text_captions(config.text_files, ()) if config.text_files else TextCaptions()
    return TrainingData(list(chain.from_iterable(sets.values())), mix.images, texts)


def estimate(
    config: TrainConfig, data: TrainingData | None = None, *, first: TrainConfig | None = None
) -> Estimate:
    """Build the model and measure two batches of made-up images; writes nothing.

    Args:
        config: The run's settings.
        data: What it trains on; by default it is read.
        first: For a later stage, whose `init` does not exist yet: the settings of the first
            stage, whose model has the same size.

    Raises:
        CapgenError: As `capgen.training.train` before the first step.
        DeviceMemoryError: The model and two images do not fit into the device's memory.
    """
    device = choose_device(config.device)
    disable_progress_bar()  # transformers' own, as in training
    data = data or read_training_data(config)
    captioning = _build(config, data, first)
    parts = _parts(captioning, config)
    with device_memory_errors(
        "The device has too little memory for the model and two images",
        hint="Try --gradient-checkpointing, --precision bf16 or another --device.",
    ):
        learner = Learner.of(captioning, config, device)
        batch = measure_batch(learner, config, _examples(config, data))
    images = data.images if config.sees_images else len(data.texts.captions)
    together = images_per_pass(config, learner.objective, device)
    trained = sum(part.trained for part in parts)
    everything = sum(part.parameters for part in parts)
    return Estimate(
        parts=parts,
        images=images,
        steps=config.num_epochs * math.ceil(images / config.images_a_step),
        device=device.type,
        model_bytes=_WEIGHT_BYTES * everything + _TRAINED_BYTES * trained,
        activation_bytes=int(batch.fixed_bytes + batch.bytes_per_image * together),
        seconds=batch.seconds_per_image * images * config.num_epochs,
    )


def _build(config: TrainConfig, data: TrainingData, first: TrainConfig | None) -> Captioning:
    """Return the model of a run; see `estimate`."""
    torch.manual_seed(config.seed)
    groups = [example.references for example in data.examples]
    texts = data.texts.captions
    captions = [text for group in groups for text in group] + list(texts)
    buildable = config
    if first is not None:  # only the default objective can train a new model
        buildable = replace(config, init=first.init, objective=TrainConfig.objective)
    captioning = prepare_concepts(make_captioner(buildable, captions), groups, config, texts)
    if first is None:
        check_concepts(captioning, config)
    return captioning


def _examples(config: TrainConfig, data: TrainingData) -> Sequence[Example]:
    """Return what a batch is measured on: the images, or some captions without images."""
    if config.sees_images:
        return data.examples
    return [
        Example(image_id="", image=Path(), references=(text,), split="train")
        for text in data.texts.captions[:MOST_IMAGES]
    ]


def _parts(captioning: Captioning, config: TrainConfig) -> tuple[Part, ...]:
    rates = peak_rates(config)
    counts = {name: [0, 0] for name in rates}
    for name, parameter in captioning.model.named_parameters():
        count = counts[part_of(name, config)]
        count[0] += parameter.numel()
        count[1] += parameter.numel() * parameter.requires_grad
    return tuple(
        Part(name=name, parameters=all, trained=trained, learning_rate=rates[name])
        for name, (all, trained) in counts.items()
        if all
    )
