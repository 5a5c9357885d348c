"""Sums of losses, tokens and images between reports; losses stay on the device until read."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor


class Meter:
    """Loss, tokens and images since the last report and since the start of the epoch.

    Args:
        device: Where losses are.
        names: Names of other numbers that each step has.
    """

    def __init__(self, device: torch.device, names: Sequence[str] = ()) -> None:
        self.names = tuple(names)
        self._loss = torch.zeros((), device=device)
        self._numbers = torch.zeros(len(self.names), device=device)
        self.tokens = 0
        self.images = 0
        self.epoch_loss, self.epoch_tokens, self.epoch_images = 0.0, 0, 0
        self.epoch_sums = [0.0] * len(self.names)
        self.started = time.perf_counter()

    def add(self, loss: Tensor, tokens: int, images: int, numbers: Tensor) -> None:
        """Take in a step: its mean loss, tokens, images and other numbers, (names,)."""
        self._loss += loss * tokens
        self._numbers += numbers * images
        self.tokens += tokens
        self.images += images

    def report(self) -> tuple[float, float, dict[str, float]]:
        """Return mean loss per token, images per second and other numbers; start again."""
        sums = self._numbers.tolist()
        numbers = self._named(sums, self.images)
        total = self._loss.item()
        mean = total / max(self.tokens, 1)
        speed = self.images / max(time.perf_counter() - self.started, 1e-9)
        self.epoch_loss += total
        self.epoch_tokens += self.tokens
        self.epoch_images += self.images
        self.epoch_sums = [old + new for old, new in zip(self.epoch_sums, sums, strict=True)]
        self._loss.zero_()
        self._numbers.zero_()
        self.tokens, self.images, self.started = 0, 0, time.perf_counter()
        return mean, speed, numbers

    def begin_epoch(self) -> None:
        """Reset the epoch's sums."""
        self.epoch_loss, self.epoch_tokens, self.epoch_images = 0.0, 0, 0
        self.epoch_sums = [0.0] * len(self.names)
        self.started = time.perf_counter()

    @property
    def epoch_mean(self) -> float:
        """The mean loss per token over the epoch's reported steps."""
        return self.epoch_loss / max(self.epoch_tokens, 1)

    @property
    def epoch_numbers(self) -> dict[str, float]:
        """The means of the other numbers per image, over the same steps."""
        return self._named(self.epoch_sums, self.epoch_images)

    def state(self) -> dict[str, Any]:
        """Return the sums as JSON types."""
        return {
            "loss": self._loss.item(),
            "tokens": self.tokens,
            "images": self.images,
            "epoch_loss": self.epoch_loss,
            "epoch_tokens": self.epoch_tokens,
            "epoch_images": self.epoch_images,
            "numbers": self._numbers.tolist(),
            "epoch_sums": self.epoch_sums,
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Continue from the sums that `state` returned."""
        self._loss.fill_(state["loss"])
        self.tokens, self.images = state["tokens"], state["images"]
        self.epoch_loss, self.epoch_tokens = state["epoch_loss"], state["epoch_tokens"]
        if "numbers" in state:  # missing in states of earlier versions
            self.epoch_images, self.epoch_sums = state["epoch_images"], state["epoch_sums"]
            self._numbers.copy_(torch.tensor(state["numbers"]))

    def _named(self, sums: Sequence[float], images: int) -> dict[str, float]:
        return {name: total / max(images, 1) for name, total in zip(self.names, sums, strict=True)}
