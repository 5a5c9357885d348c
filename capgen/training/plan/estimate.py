"""What a run would take: parameters by part, memory and time, from two real passes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from transformers.utils.logging import disable_progress_bar

from capgen.config import TrainConfig
from capgen.data.mixture import open_mixture
from capgen.models.build import Captioning
from capgen.models.torch_devices import autocast, autocast_dtype, choose_device
from capgen.records import Example
from capgen.training.data.epoch_order import Mix
from capgen.training.data.images import input_size
from capgen.training.data.packed_captions import pack_captions
from capgen.training.model.make_captioner import make_captioner
from capgen.training.objectives.base import CrossEntropy, Share, StepLoss
from capgen.training.objectives.learner import Learner
from capgen.training.objectives.scst.loss import self_critical
from capgen.training.optimization.learning_rate import part_of, peak_rates

_IMAGES = 4  # of the larger pass that is measured
_WEIGHT_BYTES = 4  # float32
# Gradient, AdamW's two moments and the weights' average, each float32.
_TRAINED_BYTES = 16


@dataclass(frozen=True, kw_only=True)
class Part:
    """Parameters that share a learning rate.

    Attributes:
        name: `encoder`, `decoder` (what is pretrained of them) or `new`.
        parameters: How many there are.
        trained: Those of them that are trained.
        learning_rate: Their peak learning rate.
    """

    name: str
    parameters: int
    trained: int
    learning_rate: float


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a run would take, validation and teachers aside.

    Attributes:
        parts: The model's parameters.
        images: Training images an epoch.
        steps: Steps in all.
        device: Where it would compute.
        model_bytes: Weights, gradients, moments and average.
        activation_bytes: What one pass keeps for its backward pass.
        seconds: All the steps, by the time of one pass of a few images.
    """

    parts: tuple[Part, ...]
    images: int
    steps: int
    device: str
    model_bytes: int
    activation_bytes: int
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON's types."""
        return asdict(self)


def estimate(config: TrainConfig, *, first: TrainConfig | None = None) -> Estimate:
    """Build the model and take two passes over a few made-up images; writes nothing.

    Args:
        config: The run's settings.
        first: For a later stage of a run, whose `init` is not there yet: the settings of the
            first stage, which starts from a model as large.

    Raises:
        CapgenError: As `capgen.training.run.train.train` before the first step.
    """
    device = choose_device(config.device)
    disable_progress_bar()  # transformers' own, as in training
    mixture = open_mixture(config.dataset, config.data_dir)
    sets = mixture.parts("train")
    examples = list(chain.from_iterable(sets.values()))
    mix = Mix(tuple((len(own), mixture.member(name).weight) for name, own in sets.items()))
    torch.manual_seed(config.seed)
    captions = [text for example in examples for text in example.references]
    made = config
    if first is not None:  # a new model, too, which is refused for any other objective
        made = replace(config, init=first.init, objective=TrainConfig.objective)
    captioning = make_captioner(made, captions)
    parts = _parts(captioning, config)
    passes = _passes(captioning, config, device)
    kept, _ = passes(examples[: _IMAGES // 2])  # warms up, too
    kept_more, seconds = passes(examples[:_IMAGES])
    measured = min(len(examples), _IMAGES)
    extra = measured - min(len(examples), _IMAGES // 2)
    # What does not grow with the images: casts of the weights, for one.
    a_image = (kept_more - kept) / extra if extra else kept_more / measured
    fixed = max(0.0, kept_more - a_image * measured)
    trained = sum(part.trained for part in parts)
    everything = sum(part.parameters for part in parts)
    return Estimate(
        parts=parts,
        images=mix.images,
        steps=config.num_epochs * math.ceil(mix.images / config.images_a_step),
        device=device.type,
        model_bytes=_WEIGHT_BYTES * everything + _TRAINED_BYTES * trained,
        activation_bytes=int(fixed + a_image * config.batch_size),
        seconds=seconds / measured * mix.images * config.num_epochs,
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


def _passes(
    captioning: Captioning, config: TrainConfig, device: torch.device
) -> Callable[[Sequence[Example]], tuple[int, float]]:
    """Return what takes a pass over examples and tells the bytes it keeps and its seconds."""
    model = captioning.model.to(device).train()
    learner = Learner.of(captioning, config, device)
    dtype = autocast_dtype(config.precision, device)
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}

    def take(examples: Sequence[Example]) -> tuple[int, float]:
        step_loss, share = _share(learner, examples, config)
        kept: dict[int, int] = {}

        def keep(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            kept[storage.data_ptr()] = storage.nbytes()
            return tensor

        begun = time.perf_counter()
        with saved_tensors_hooks(keep, lambda tensor: tensor), autocast(device, dtype):
            loss = step_loss(share).loss
        torch.autograd.backward(loss)
        loss.item()  # waits for a GPU
        seconds = time.perf_counter() - begun
        model.zero_grad(set_to_none=True)
        return sum(size for place, size in kept.items() if place not in weights), seconds

    return take


def _share(
    learner: Learner, examples: Sequence[Example], config: TrainConfig
) -> tuple[StepLoss, Share]:
    """Return the loss of a pass, and made-up images with the captions of examples."""
    captioning, objective, codec = learner.captioning, learner.objective, learner.codec
    rows = [row[: config.captions_per_image] for row in codec.encode_examples(examples)]
    pad = captioning.model.generation_config.pad_token_id
    packed = pack_captions(rows, pad=pad, unknown=codec.unknown).to(learner.device)
    size = input_size(captioning.preprocessor)
    inputs = torch.randn(len(rows), 3, *size, device=learner.device)
    if objective.cached:
        with torch.no_grad():
            inputs = objective.front.eval()(inputs)
    step_loss: StepLoss = CrossEntropy(objective)
    if config.objective == "scst":
        made = self_critical(learner, [example.references for example in examples], rows, config)
        # Captions of a model that is not trained yet would never end: as long as human ones.
        made.sampler.max_tokens = min(made.sampler.max_tokens, math.ceil(made.mean_tokens))
        step_loss = made
    return step_loss, Share(
        images=torch.arange(len(rows)),
        inputs=inputs,
        captions=packed,
        tokens=packed.tokens,
        step_images=len(rows),
        step=0,
    )
