"""What a step takes of memory and time, measured on two batches of made-up images."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from capgen.config import TrainConfig
from capgen.models.out_of_memory import is_out_of_memory
from capgen.models.torch_devices import autocast, autocast_dtype
from capgen.records import Example
from capgen.training.data.images import input_size
from capgen.training.data.inputs import NoImages
from capgen.training.data.packed_captions import PackedCaptions
from capgen.training.objectives.base import Share, StepLoss
from capgen.training.objectives.cross_entropy import CrossEntropy
from capgen.training.objectives.encoder_losses import with_encoder_losses
from capgen.training.objectives.learner import Learner
from capgen.training.objectives.scst.loss import self_critical
from capgen.training.objectives.text_loss import TextAlone

# Images in the larger of the two batches, and most of them where the time of a small batch is not
# that of what is in it: on a GPU, which starts kernels, and of captions alone.
_IMAGES, MOST_IMAGES = 2, 64
# How often the larger one is measured; the quickest time counts. On a CPU, which may be busy with
# other things, only while that takes no more seconds than this.
_ROUNDS_ON_GPU, _ROUNDS_ON_CPU, _SECONDS_ON_CPU = 3, 8, 2.0


class Batch(NamedTuple):
    """What a batch takes; fixed is what does not grow with it, such as casts of the weights."""

    fixed_bytes: float
    bytes_per_image: float
    seconds_per_image: float


def measure_batch(learner: Learner, config: TrainConfig, examples: Sequence[Example]) -> Batch:
    """Measure batches of made-up images with the captions of the first examples."""
    images = images_to_measure(config, learner.device)
    on_cpu = learner.device.type == "cpu"
    rounds, most = (_ROUNDS_ON_CPU, _SECONDS_ON_CPU) if on_cpu else (_ROUNDS_ON_GPU, math.inf)
    return measure_rounds(_batch_measurer(learner, config), examples, images, rounds, most)


def images_to_measure(config: TrainConfig, device: torch.device) -> int:
    """Return how many images the larger of the two measured batches has."""
    if device.type == "cpu" and config.sees_images:
        return _IMAGES
    return max(_IMAGES, min(config.batch_size, MOST_IMAGES))


def measure_rounds(
    measure: Callable[[Sequence[Example], bool], tuple[int, float]],
    examples: Sequence[Example],
    images: int,
    rounds: int,
    most_seconds: float = math.inf,
) -> Batch:
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
    return Batch(
        fixed_bytes=max(0.0, kept_more - per_image * count),
        bytes_per_image=per_image,
        seconds_per_image=min(seconds for _, seconds in taken) / count,
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
