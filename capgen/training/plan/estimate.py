"""What a run needs: parameters by part, memory and time, measured on two batches."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from transformers.utils.logging import disable_progress_bar

from capgen.config import TrainConfig
from capgen.data.mixture import open_mixture
from capgen.models.build import Captioning
from capgen.models.device_memory import device_memory_errors, is_out_of_memory
from capgen.models.torch_devices import autocast, autocast_dtype, choose_device
from capgen.records import Example
from capgen.training.concepts.add_concepts import check_concepts, prepare_concepts
from capgen.training.data.epoch_order import Mix
from capgen.training.data.images import input_size
from capgen.training.data.inputs import NoImages
from capgen.training.data.packed_captions import PackedCaptions
from capgen.training.data.text_captions import TextCaptions, read_text_captions
from capgen.training.model.make_captioner import make_captioner
from capgen.training.objectives.base import Share, StepLoss
from capgen.training.objectives.cross_entropy import CrossEntropy
from capgen.training.objectives.encoder_losses import with_encoder_losses
from capgen.training.objectives.learner import Learner
from capgen.training.objectives.scst.loss import self_critical
from capgen.training.objectives.text_loss import TextAlone
from capgen.training.optimization.micro_batches import images_per_pass
from capgen.training.optimization.optimizer import part_of, peak_rates

# Images in the larger of the two batches, and most of them where the time of a small batch is not
# that of what is in it: on a GPU, which starts kernels, and of captions alone.
_IMAGES, _MOST_IMAGES = 2, 64
# How often the larger one is measured; the quickest time counts. On a CPU, which may be busy with
# other things, only while that takes no more seconds than this.
_ROUNDS_ON_GPU, _ROUNDS_ON_CPU, _SECONDS_ON_CPU = 3, 8, 2.0
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
    examples, images = data.examples, data.images
    torch.manual_seed(config.seed)
    groups = [example.references for example in examples]
    texts = data.texts.captions
    captions = [text for group in groups for text in group] + list(texts)
    buildable = config
    if first is not None:  # only the default objective can train a new model
        buildable = replace(config, init=first.init, objective=TrainConfig.objective)
    captioning = prepare_concepts(make_captioner(buildable, captions), groups, config, texts)
    if first is None:
        check_concepts(captioning, config)
    parts = _parts(captioning, config)
    on_cpu = device.type == "cpu"
    rounds, most = (_ROUNDS_ON_CPU, _SECONDS_ON_CPU) if on_cpu else (_ROUNDS_ON_GPU, math.inf)
    measured = examples
    if not config.sees_images:
        images = len(texts)
        measured = [
            Example(image_id="", image=Path(), references=(text,), split="train")
            for text in texts[:_MOST_IMAGES]
        ]
    with device_memory_errors(
        "The device has too little memory for the model and two images",
        hint="Try --gradient-checkpointing, --precision bf16 or another --device.",
    ):
        learner = Learner.of(captioning, config, device)
        measure = _batch_measurer(learner, config)
        batch = _measured(measure, measured, images_to_measure(config, device), rounds, most)
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


class _Batch(NamedTuple):
    """What a batch takes; fixed is what does not grow with it, such as casts of the weights."""

    fixed_bytes: float
    bytes_per_image: float
    seconds_per_image: float


def images_to_measure(config: TrainConfig, device: torch.device) -> int:
    """Return how many images the larger of the two measured batches has."""
    if device.type == "cpu" and config.sees_images:
        return _IMAGES
    return max(_IMAGES, min(config.batch_size, _MOST_IMAGES))


def _measured(
    measure: Callable[[Sequence[Example], bool], tuple[int, float]],
    examples: Sequence[Example],
    images: int,
    rounds: int,
    most_seconds: float = math.inf,
) -> _Batch:
    """Measure the memory of half of the images, which also warms up, then a step over all of them.

    The step is measured `rounds` times, or fewer that take `most_seconds` together. If memory runs
    out, halve the images.
    """
    while True:
        some = examples[:images]
        try:
            kept, _ = measure(some[: images // 2], False)
            taken = [measure(some, True)]
            while len(taken) < rounds and sum(seconds for _, seconds in taken) < most_seconds:
                taken.append(measure(some, True))
            break
        except RuntimeError as error:
            if images <= 2 or not is_out_of_memory(error):
                raise
        images //= 2
    kept_more, count = taken[-1][0], len(some)
    extra = count - min(count, images // 2)
    per_image = (kept_more - kept) / extra if extra else kept_more / count
    return _Batch(
        fixed_bytes=max(0.0, kept_more - per_image * count),
        bytes_per_image=per_image,
        seconds_per_image=min(seconds for _, seconds in taken) / count,
    )


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


def _batch_measurer(
    learner: Learner, config: TrainConfig
) -> Callable[[Sequence[Example], bool], tuple[int, float]]:
    """Return a function: examples of a batch, whether to go backward → (bytes kept, seconds)."""
    device = learner.device
    model = learner.captioning.model.to(device).train()
    dtype = autocast_dtype(config.precision, device)
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}

    def measure(examples: Sequence[Example], backward: bool) -> tuple[int, float]:
        step_loss, share = _share(learner, examples, config)
        kept: dict[int, int] = {}

        def keep(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            kept[storage.data_ptr()] = storage.nbytes()
            return tensor

        started = time.perf_counter()
        with saved_tensors_hooks(keep, lambda tensor: tensor), autocast(device, dtype):
            loss = step_loss(share).loss
        if backward:  # which takes longest
            torch.autograd.backward(loss)
        loss.item()  # waits for a GPU
        seconds = time.perf_counter() - started
        model.zero_grad(set_to_none=True)
        return sum(size for place, size in kept.items() if place not in weights), seconds

    return measure


def _share(
    learner: Learner, examples: Sequence[Example], config: TrainConfig
) -> tuple[StepLoss, Share]:
    """Return the loss of a batch, and made-up images with the captions of examples."""
    captioning, objective, codec = learner.captioning, learner.objective, learner.codec
    rows = [row[: config.captions_per_image] for row in codec.encode_examples(examples)]
    packed = codec.pack(rows).to(learner.device)
    if not config.sees_images:
        nothing = NoImages(len(rows), captioning.model.config.encoder.hidden_size, learner.device)
        return TextAlone(objective), _share_of(packed, nothing.batch(torch.arange(len(rows))))
    size = input_size(captioning.preprocessor)
    inputs = torch.randn(len(rows), 3, *size, device=learner.device)
    inputs = inputs.contiguous(memory_format=torch.channels_last)  # as in training
    if objective.cached:
        with torch.no_grad():
            inputs = objective.front.eval()(inputs)
    references = [example.references for example in examples]
    step_loss = with_encoder_losses(CrossEntropy(objective), learner, references, config)
    if config.objective == "scst":
        scst = self_critical(learner, references, rows, config)
        # The captions of an untrained model never end: make them as long as human ones.
        scst.sampler.max_tokens = min(scst.sampler.max_tokens, math.ceil(scst.mean_tokens))
        step_loss = scst
    return step_loss, _share_of(packed, inputs)


def _share_of(packed: PackedCaptions, inputs: Tensor) -> Share:
    count = len(inputs)
    return Share(
        images=torch.arange(count),
        inputs=inputs,
        captions=packed,
        tokens=packed.tokens,
        step_images=count,
        step=0,
    )
