"""Optimisation: batches in order, gradient steps, losses.

A step covers `batch_size * accumulation` images, in micro-batches of at most `batch_size` that
the processes share. The loss is a mean over all tokens of the step, however it is cut.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from transformers import VisionEncoderDecoderModel

from capgen.config import TrainConfig
from capgen.models.out_of_memory import (
    device_memory_errors,
    is_out_of_memory,
    release_memory,
)
from capgen.models.torch_devices import autocast, autocast_dtype
from capgen.records import Event, Notice, StepEvent
from capgen.training.data import epoch_order
from capgen.training.data.inputs import Inputs
from capgen.training.data.packed_captions import Ids
from capgen.training.objectives.base import Share, StepLoss
from capgen.training.objectives.cross_entropy import CrossEntropy
from capgen.training.objectives.learner import Learner
from capgen.training.optimization import memory_use
from capgen.training.optimization.failures import (
    diverged,
    is_of_compiler,
    not_compiled,
    out_of_memory,
)
from capgen.training.optimization.learning_rate import schedule_factor, set_rates
from capgen.training.optimization.loss_meter import Meter
from capgen.training.optimization.micro_batches import (
    MicroBatch,
    images_per_pass,
    micro_batches,
)
from capgen.training.optimization.optimizer import build_optimizer
from capgen.training.optimization.trained_weights import TrainedWeights
from capgen.training.optimization.weight_average import WeightAverage
from capgen.training.processes.base import Alone, Processes
from capgen.training.run.stop_request import StopRequest

_STEPS_PER_TRIM = 20


class Trainer:
    """Optimises a captioner; holds everything that changes during training.

    Args:
        learner: The captioner, on its device.
        inputs: The training images.
        rows: The ids of each image's captions.
        config: The run's settings.
        step_loss: What to minimise; by default the cross-entropy of the captions.
        mix: How often the images of each data set come; by default each once.
        processes: The processes that share the work.
        stop: Whether to stop.

    Attributes:
        stop_asked: One of the processes was asked to stop; known after each step.
    """

    def __init__(
        self,
        learner: Learner,
        inputs: Inputs,
        rows: Sequence[Sequence[Ids]],
        config: TrainConfig,
        *,
        step_loss: StepLoss | None = None,
        mix: epoch_order.Mix | None = None,
        processes: Processes | None = None,
        stop: StopRequest | None = None,
    ) -> None:
        self.model = learner.captioning.model
        self.objective = learner.objective
        self.step_loss = step_loss or CrossEntropy(learner.objective)
        self.inputs = inputs
        self.rows = rows
        self.codec = learner.codec
        self.config = config
        self.device = device = learner.device
        self.processes = processes or Alone()
        self.stop = stop or StopRequest()
        self.dtype = autocast_dtype(config.precision, device)
        self.weights = _trained_weights(self.model, config, self.processes, device)
        self.mix = mix or epoch_order.Mix(((len(rows), 1.0),))
        self.steps_per_epoch = math.ceil(self.mix.images / config.images_a_step)
        self.steps = config.num_epochs * self.steps_per_epoch
        self.optimizer = build_optimizer(self.model, self.weights.named, config, device)
        self.schedule = schedule_factor(config, self.steps)
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.dtype == torch.float16)
        self.average = WeightAverage(self.weights.parameters, config.ema_decay)
        self.meter = Meter(device, self.step_loss.names)
        self.step = 0
        self.images_per_pass = images_per_pass(config, self.objective, device, self.processes.count)
        # A run that is too short for one report reports each step.
        self.steps_per_report = config.log_every if self.steps >= config.log_every else 1
        self.stop_asked = False

    def epoch(self, number: int) -> Iterator[Event | None]:
        """Train to the end of an epoch, numbered from 1, from where the state says.

        Order, choice of captions, augmentation and dropout follow from the seed and the step
        alone.

        Yields:
            After every step, its report or None.

        Raises:
            TrainingError: The loss is not finite, memory ran out, or the encoder could not be
                compiled.
            DeviceMemoryError: Memory ran out for the optimizer.
        """
        self.model.train()
        _still(self.objective.front)
        shuffled = self.mix.order(self.config.seed, number)
        batches = torch.split(shuffled, self.config.images_a_step)
        done = self.step - (number - 1) * self.steps_per_epoch
        if done == 0:
            self.meter.begin_epoch()
        for numbers in batches[done:]:
            notice = self._step_that_fits(numbers)
            if notice is not None:
                yield notice
            last = self.step % self.steps_per_epoch == 0
            due = last or self.step % self.steps_per_report == 0
            yield self._report(number) if due else None

    def start_alike(self) -> None:
        """Let all processes start from the weights of process 0.

        Machines may draw other new weights, or round otherwise.
        """
        if not self.weights.sharded:  # whose parts fit together already
            self.processes.send([*self.model.parameters(), *self.model.buffers()])
            self.processes.send(self.average.average)

    def check_finite(self) -> None:
        """Raise `TrainingError` if training diverged: if a weight is not a finite number."""
        if not self.weights.finite():
            raise diverged("The weights are no longer finite numbers", self.step)

    def _step_that_fits(self, numbers: Tensor) -> Notice | None:
        """Take one step, in smaller micro-batches if memory runs out, which the notice says."""
        tried, notice = 0, None
        while True:
            try:
                self._step(numbers)
                return notice
            except RuntimeError as error:
                if self.config.compile and is_of_compiler(error):
                    raise not_compiled(error) from error
                if not is_out_of_memory(error):
                    raise
                before = min(self.images_per_pass, len(numbers))
                # Several processes would not run out at the same moment.
                if before == 1 or self.processes.count > 1:
                    raise out_of_memory(before) from error
            # The exception, and with it the failed pass's tensors, is gone by here.
            self.optimizer.zero_grad(set_to_none=True)
            release_memory(self.device)
            tried = tried or before
            self.images_per_pass = before // 2
            passes = math.ceil(self.config.images_a_step / self.images_per_pass)
            notice = Notice(
                message=f"Memory ran out at step {self.step + 1} with {tried} images per pass: "
                f"continuing with {self.images_per_pass}, {passes} passes per step"
            )

    def _step(self, numbers: Tensor) -> None:
        torch.manual_seed(self._seed(epoch_order.DROPOUT))
        batches = self._micro_batches(numbers)
        tokens = self._count_tokens(batches)
        with self.weights.working():
            loss, sums = self._backward(batches, tokens, len(numbers))
        self.weights.sum_gradients([loss, sums])
        self.stop_asked = self.processes.total(bool(self.stop.signal)) > 0
        self._update()
        self.meter.add(loss, tokens, len(numbers), sums)
        if self.device.type == "cpu" and self.step % _STEPS_PER_TRIM == 0:
            memory_use.trim_memory()

    def _micro_batches(self, numbers: Tensor) -> list[MicroBatch]:
        """Return this process's micro-batches of a step over the images `numbers`."""
        chosen = epoch_order.choose_captions(
            self.rows, numbers, self.config.captions_per_image, self.config.seed, self.step
        )
        return micro_batches(
            chosen,
            numbers,
            self.images_per_pass,
            self.codec,
            rank=self.processes.rank,
            processes=self.processes.count,
            equal=self.weights.sharded,
        )

    def _count_tokens(self, batches: Sequence[MicroBatch]) -> int:
        """Return the tokens learned in the step, over all processes."""
        return int(self.processes.total(sum(batch.captions.tokens for batch in batches)))

    def _backward(
        self, batches: Sequence[MicroBatch], tokens: int, images: int
    ) -> tuple[Tensor, Tensor]:
        """Compute the gradients of a step; return its loss and the objective's other numbers."""
        variation = torch.Generator(self.device).manual_seed(self._seed(epoch_order.AUGMENTATION))
        loss = torch.zeros((), device=self.device)
        sums = torch.zeros(len(self.step_loss.names), device=self.device)
        for batch in batches:
            share = Share(
                images=batch.images,
                inputs=self.inputs.batch(batch.images, variation),
                captions=batch.captions.to(self.device),
                tokens=tokens,
                step_images=images,
                step=self.step,
                idle=batch.idle,
            )
            with autocast(self.device, self.dtype):
                part = self.step_loss(share)
            torch.autograd.backward(self.scaler.scale(part.loss))
            loss += part.loss.detach()
            sums += part.numbers
        return loss, sums

    def _update(self) -> None:
        """Take the step: change the weights and their average."""
        # Smaller passes would not help: the moments are as large as the weights.
        with device_memory_errors(
            "The device ran out of memory for the optimizer",
            hint="Train less: --train-encoder last-2 or none, or --lora-rank 8.",
        ):
            if self.config.clip_norm:
                self.scaler.unscale_(self.optimizer)
                self.weights.clip_gradients(self.config.clip_norm)
            set_rates(self.optimizer, self.schedule(self.step))
            self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        self.average.update()
        self.step += 1

    def _seed(self, stream: int) -> int:
        return epoch_order.random_seed(self.config.seed, stream, self.step, self.processes.rank)

    def _report(self, epoch: int) -> StepEvent:
        loss, speed, numbers = self.meter.report()
        if not math.isfinite(loss):
            raise diverged(f"The loss became {loss}", self.step)
        rates = {group["name"].split()[0]: group["lr"] for group in self.optimizer.param_groups}
        return StepEvent(
            step=self.step,
            epoch=epoch,
            loss=loss,
            # Of the new parts, or the highest if all parts are pretrained.
            learning_rate=rates.get("new", max(rates.values())),
            images_per_second=speed,
            memory=memory_use.memory_used(self.device),
            numbers=numbers,
            learning_rates=rates,
        )


def _still(front: nn.Module) -> None:
    """Let the frozen parts of an encoder compute as they do in captioning.

    In training mode BatchNorm would go on changing its statistics, which are saved with the
    weights, and normalise by the batch; dropout would only add noise to what never changes. So it
    is with augmented images, too. Our own EfficientNet has neither.
    """
    for module in front.modules():
        weights = list(module.parameters())
        if weights and not any(weight.requires_grad for weight in weights):
            module.eval()


def _trained_weights(
    model: VisionEncoderDecoderModel,
    config: TrainConfig,
    processes: Processes,
    device: torch.device,
) -> TrainedWeights:
    if not config.shard_decoder:
        return TrainedWeights(model, processes)
    from capgen.training.optimization.sharded_decoder import ShardedDecoder  # loads much of torch

    return ShardedDecoder(model, processes, device)
