"""Optimisation: batches in order, gradient steps, losses.

A step is over `batch_size * accumulation` images, cut into passes of `batch_size`, each cut
into the shares of the processes. The loss is a mean over all tokens of the step, so that how
it is cut does not matter.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from capgen.config import TrainConfig
from capgen.errors import TrainingError, UsageError
from capgen.models.torch_devices import autocast, autocast_dtype
from capgen.records import Event, Notice, StepEvent
from capgen.training.data import epoch_order
from capgen.training.data.inputs import Inputs
from capgen.training.data.packed_captions import Ids
from capgen.training.objectives.base import CrossEntropy, Share, StepLoss
from capgen.training.objectives.learner import Learner
from capgen.training.optimization.learning_rate import schedule_factor, set_rates
from capgen.training.optimization.loss_meter import Meter
from capgen.training.optimization.memory import (
    is_out_of_memory,
    memory_used,
    release_memory,
    trim_memory,
)
from capgen.training.optimization.micro_batches import cut_passes
from capgen.training.optimization.optimizer import build_optimizer
from capgen.training.optimization.processes import Alone, Processes
from capgen.training.optimization.weight_average import WeightAverage
from capgen.training.run.stop_request import StopRequest

STEPS_A_TRIM = 20


class Trainer:
    """Optimises a captioner; everything that changes while it does is here.

    Args:
        learner: The captioner, on its device.
        inputs: The training images.
        rows: The ids of the captions of each of them.
        config: The run's settings.
        step_loss: What to minimise; None is the cross-entropy of the captions.
        mix: How often the images of each data set come; None is one data set, each once.
        processes: Who shares the work.
        stop: Whether to stop.

    Attributes:
        stop_asked: One of the processes was asked to stop; known after each step.

    Raises:
        UsageError: Nothing is trained.
        TrainingError: The device has no such precision.
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
        named = [(name, p) for name, p in self.model.named_parameters() if p.requires_grad]
        if not named:
            raise UsageError("Nothing of the model is trained")
        self.names: dict[Tensor, str] = {parameter: name for name, parameter in named}
        self.parameters = [parameter for _, parameter in named]
        self.mix = mix or epoch_order.Mix(((len(rows), 1.0),))
        self.steps_an_epoch = math.ceil(self.mix.images / config.images_a_step)
        self.steps = config.num_epochs * self.steps_an_epoch
        self.optimizer = build_optimizer(self.model, config, device)
        self.schedule = schedule_factor(config, self.steps)
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.dtype == torch.float16)
        self.average = WeightAverage(self.parameters, config.ema_decay)
        self.meter = Meter(device, self.step_loss.names)
        self.step = 0
        self.images_a_pass = config.batch_size
        # A run that is too short for a report reports each step.
        self.steps_a_report = config.log_every if self.steps >= config.log_every else 1
        self.stop_asked = False

    def epoch(self, number: int) -> Iterator[Event | None]:
        """Train to the end of an epoch; afterwards `meter.epoch_mean` is its mean loss per token.

        Begins where the state says. Order, choice of captions, augmentation and dropout
        follow from the seed and the step alone.

        Args:
            number: The epoch, from 1.

        Yields:
            After every step: what there is to report of it, or None.

        Raises:
            TrainingError: The loss is not a finite number, or memory ran out.
        """
        self._training_mode()
        shuffled = self.mix.order(self.config.seed, number)
        batches = torch.split(shuffled, self.config.images_a_step)
        done = self.step - (number - 1) * self.steps_an_epoch
        if done == 0:
            self.meter.begin_epoch()
        for numbers in batches[done:]:
            notice = self._step_that_fits(numbers)
            if notice is not None:
                yield notice
            last = self.step % self.steps_an_epoch == 0
            due = last or self.step % self.steps_a_report == 0
            yield self._report(number) if due else None

    def check_finite(self) -> None:
        """Check that the weights are numbers.

        Raises:
            TrainingError: They are not: training diverged.
        """
        norms = torch.stack(torch._foreach_norm([p.detach() for p in self.parameters]))
        if not bool(torch.isfinite(norms).all()):
            raise _diverged("The weights are no longer finite numbers", self.step)

    def _training_mode(self) -> None:
        self.model.train()
        if self.objective.cached:
            self.objective.front.eval()

    def _step_that_fits(self, numbers: Tensor) -> Notice | None:
        """Take one step, in smaller passes if memory runs out; return what to say of that."""
        notice = None
        while True:
            try:
                self._step(numbers)
                return notice
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                before = min(self.images_a_pass, len(numbers))
                # Several processes would not run out at the same moment.
                if before == 1 or self.processes.count > 1:
                    raise TrainingError(
                        f"The device ran out of memory with {before} images per pass",
                        hint="Try a smaller --batch-size with more --accumulation, "
                        "--gradient-checkpointing or --precision bf16.",
                    ) from error
            # The exception, and with it the failed pass's tensors, is gone here.
            self.optimizer.zero_grad(set_to_none=True)
            release_memory(self.device)
            self.images_a_pass = before // 2
            passes = math.ceil(self.config.images_a_step / self.images_a_pass)
            notice = Notice(
                message=f"Memory ran out at step {self.step + 1} with {before} images per pass: "
                f"going on with {self.images_a_pass}, {passes} passes per step"
            )

    def _step(self, numbers: Tensor) -> None:
        """Take one step over the images `numbers`."""
        config, processes = self.config, self.processes
        torch.manual_seed(self._seed(epoch_order.DROPOUT))
        variation = torch.Generator(self.device).manual_seed(self._seed(epoch_order.AUGMENTATION))
        passes = cut_passes(
            epoch_order.choose_captions(
                self.rows, numbers, config.captions_per_image, config.seed, self.step
            ),
            numbers,
            self.images_a_pass,
            processes,
            pad=self.model.generation_config.pad_token_id,
            unknown=self.codec.unknown,
        )
        counted = torch.tensor(float(sum(part.captions.tokens for part in passes)))
        if processes.count > 1:
            counted = counted.to(self.device)
            processes.sum([counted])
        tokens = int(counted)
        loss = torch.zeros((), device=self.device)
        further = torch.zeros(len(self.step_loss.names), device=self.device)
        for images, captions, idle in passes:
            share = Share(
                images=images,
                inputs=self.inputs.batch(images, variation),
                captions=captions.to(self.device),
                tokens=tokens,
                step_images=len(numbers),
                step=self.step,
                idle=idle,
            )
            with autocast(self.device, self.dtype):
                part = self.step_loss(share)
            torch.autograd.backward(self.scaler.scale(part.loss))
            loss += part.loss.detach()
            further += part.numbers
        self._share(loss, further)
        if config.clip_norm:
            self.scaler.unscale_(self.optimizer)
            clip_grad_norm_(self.parameters, config.clip_norm)
        set_rates(self.optimizer, self.schedule(self.step))
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        self.average.update()
        self.step += 1
        if self.device.type == "cpu" and self.step % STEPS_A_TRIM == 0:
            trim_memory()
        self.meter.add(loss, tokens, len(numbers), further)

    def _share(self, loss: Tensor, further: Tensor) -> None:
        """Sum gradients, loss and further numbers over the processes; ask all whether to stop."""
        self.stop_asked = bool(self.stop.signal)
        if self.processes.count > 1:
            stop = torch.tensor(float(self.stop_asked), device=self.device)
            gradients = [p.grad for p in self.parameters if p.grad is not None]
            self.processes.sum([*gradients, loss, further, stop])
            self.stop_asked = bool(stop > 0)

    def _seed(self, stream: int) -> int:
        return epoch_order.random_seed(self.config.seed, stream, self.step, self.processes.rank)

    def _report(self, epoch: int) -> StepEvent:
        loss, speed, numbers = self.meter.report()
        if not math.isfinite(loss):
            raise _diverged(f"The loss became {loss}", self.step)
        return StepEvent(
            step=self.step,
            epoch=epoch,
            loss=loss,
            learning_rate=self._rate(),
            images_per_second=speed,
            memory=memory_used(self.device),
            numbers=numbers,
            learning_rates=self._rates(),
        )

    def _rates(self) -> dict[str, float]:
        """Return the learning rate of each kind of part."""
        return {group["name"].split()[0]: group["lr"] for group in self.optimizer.param_groups}

    def _rate(self) -> float:
        """Return the learning rate of new parts, or the highest when all is pretrained."""
        rates = self._rates()
        return rates.get("new", max(rates.values()))


def _diverged(what: str, step: int) -> TrainingError:
    return TrainingError(
        f"{what} by step {step}: training diverged",
        hint="Lower --learning-rate or use --precision fp32. Checkpoints saved before are good.",
    )
