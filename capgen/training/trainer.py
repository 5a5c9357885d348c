"""One epoch of optimisation: batches in order, gradient steps, losses."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from capgen.config import TrainConfig
from capgen.errors import TrainingError
from capgen.models.build import Captioning
from capgen.records import StepEvent
from capgen.training.captions import CaptionCodec, Ids, PackedCaptions, pack_captions
from capgen.training.device import autocast, memory_errors, pick_dtype
from capgen.training.ema import WeightAverage
from capgen.training.inputs import Inputs
from capgen.training.objective import CaptionObjective
from capgen.training.optimizer import build_optimizer, build_schedule


class Trainer:
    """Optimises a captioner; everything that changes while it does is here.

    Args:
        captioning: The captioner, on its device.
        objective: Its loss.
        inputs: The training photos.
        rows: The ids of the captions of each of them.
        codec: How captions became ids.
        config: The run's settings.
        device: Where the captioner is.
    """

    def __init__(
        self,
        captioning: Captioning,
        objective: CaptionObjective,
        inputs: Inputs,
        rows: Sequence[Sequence[Ids]],
        codec: CaptionCodec,
        config: TrainConfig,
        device: torch.device,
    ) -> None:
        self.model = captioning.model
        self.objective = objective
        self.inputs = inputs
        self.rows = rows
        self.codec = codec
        self.config = config
        self.device = device
        self.dtype = pick_dtype(config.precision, device)
        self.parameters = [p for p in self.model.parameters() if p.requires_grad]
        self.steps_an_epoch = math.ceil(len(rows) / config.batch_size)
        self.steps = config.num_epochs * self.steps_an_epoch
        self.optimizer = build_optimizer(self.model, config, device)
        self.schedule = build_schedule(self.optimizer, config, self.steps)
        self.average = WeightAverage(self.parameters, config.ema_decay)
        self.step = 0
        self.epoch_loss = math.nan
        self.learning_rate = 0.0

    def epoch(self, number: int) -> Iterator[StepEvent]:
        """Train for one epoch; afterwards `epoch_loss` is its mean loss a token.

        Order and augmentation follow from the seed and the epoch's number alone.

        Args:
            number: The epoch, from 1.

        Raises:
            TrainingError: The loss is not a finite number, or memory ran out.
        """
        order = _generator(self.config.seed, number, torch.device("cpu"))
        variation = _generator(self.config.seed, number, self.device)
        self.model.train()
        if self.objective.cached:
            self.objective.front.eval()
        meter = _Meter(self.device)
        epoch_loss, epoch_tokens = 0.0, 0
        shuffled = torch.randperm(len(self.rows), generator=order)
        for numbers in torch.split(shuffled, self.config.batch_size):
            captions = self._captions(numbers, order)
            with memory_errors("batch_size", self.config.batch_size):
                loss = self._step(numbers, captions, variation)
            meter.add(loss, captions.tokens, len(numbers))
            last = self.step % self.steps_an_epoch == 0
            if last or self.step % self.config.log_every == 0:
                epoch_loss, epoch_tokens = epoch_loss + meter.total(), epoch_tokens + meter.tokens
                yield self._report(number, meter)
                meter = _Meter(self.device)
        self.epoch_loss = epoch_loss / max(epoch_tokens, 1)

    def _captions(self, numbers: Tensor, order: torch.Generator) -> PackedCaptions:
        """Pack the captions of some photos; of photos with too many a random choice."""
        most = self.config.captions_per_image
        chosen = []
        for number in numbers.tolist():
            row = self.rows[number]
            if len(row) > most:
                picks = torch.randperm(len(row), generator=order)[:most]
                row = [row[pick] for pick in picks.tolist()]
            chosen.append(row)
        pad = self.model.generation_config.pad_token_id
        return pack_captions(chosen, pad=pad, unknown=self.codec.unknown)

    def _step(
        self, numbers: Tensor, captions: PackedCaptions, variation: torch.Generator
    ) -> Tensor:
        """Take one step; return the loss summed over tokens, still on the device."""
        inputs = self.inputs.batch(numbers, variation)
        moved = captions.to(self.device)
        with autocast(self.device, self.dtype):
            loss = self.objective.loss_sum(self.objective.encode(inputs), moved)
        torch.autograd.backward(loss / max(captions.tokens, 1))
        if self.config.clip_norm:
            clip_grad_norm_(self.parameters, self.config.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.learning_rate = self._rate()
        self.schedule.step()
        self.average.update()
        self.step += 1
        return loss.detach()

    def _report(self, epoch: int, meter: _Meter) -> StepEvent:
        loss = meter.total() / max(meter.tokens, 1)
        if not math.isfinite(loss):
            raise TrainingError(
                f"The loss became {loss} by step {self.step}: training diverged",
                hint="Lower --learning-rate or use --precision fp32. "
                "Checkpoints saved before are good.",
            )
        return StepEvent(
            step=self.step,
            epoch=epoch,
            loss=loss,
            learning_rate=self.learning_rate,
            images_per_second=meter.images / max(time.perf_counter() - meter.started, 1e-9),
        )

    def _rate(self) -> float:
        """Return the learning rate of new parts, or the highest when all is pretrained."""
        rates = {group["name"].split()[0]: group["lr"] for group in self.optimizer.param_groups}
        return rates.get("new", max(rates.values()))


class _Meter:
    """Sums since the last report; the loss stays on the device until it is read."""

    def __init__(self, device: torch.device) -> None:
        self.loss = torch.zeros((), device=device)
        self.tokens = 0
        self.images = 0
        self.started = time.perf_counter()

    def add(self, loss: Tensor, tokens: int, images: int) -> None:
        self.loss += loss
        self.tokens += tokens
        self.images += images

    def total(self) -> float:
        return self.loss.item()


def _generator(seed: int, epoch: int, device: torch.device) -> torch.Generator:
    return torch.Generator(device).manual_seed(seed * 1_000_003 + epoch)
