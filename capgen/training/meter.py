"""Sums between reports. Losses stay on the device until they are read."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


class Meter:
    """Loss, tokens and photos since the last report and since the epoch's start.

    Args:
        device: Where losses are.
    """

    def __init__(self, device: torch.device) -> None:
        self._loss = torch.zeros((), device=device)
        self.tokens = 0
        self.images = 0
        self.epoch_loss = 0.0
        self.epoch_tokens = 0
        self.started = time.perf_counter()

    def add(self, loss: Tensor, tokens: int, images: int) -> None:
        """Take in a step: its loss summed over `tokens` tokens."""
        self._loss += loss
        self.tokens += tokens
        self.images += images

    def report(self) -> tuple[float, float]:
        """Return the mean loss a token and the photos a second, and start anew."""
        total = self._loss.item()
        mean = total / max(self.tokens, 1)
        speed = self.images / max(time.perf_counter() - self.started, 1e-9)
        self.epoch_loss += total
        self.epoch_tokens += self.tokens
        self._loss.zero_()
        self.tokens, self.images, self.started = 0, 0, time.perf_counter()
        return mean, speed

    def begin_epoch(self) -> None:
        """Start the epoch's sums anew."""
        self.epoch_loss, self.epoch_tokens = 0.0, 0
        self.started = time.perf_counter()

    @property
    def epoch_mean(self) -> float:
        """The mean loss a token of the epoch's reported steps."""
        return self.epoch_loss / max(self.epoch_tokens, 1)

    def state(self) -> dict[str, Any]:
        """Return the sums as JSON's types."""
        return {
            "loss": self._loss.item(),
            "tokens": self.tokens,
            "images": self.images,
            "epoch_loss": self.epoch_loss,
            "epoch_tokens": self.epoch_tokens,
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from the sums that `state` returned."""
        self._loss.fill_(state["loss"])
        self.tokens, self.images = state["tokens"], state["images"]
        self.epoch_loss, self.epoch_tokens = state["epoch_loss"], state["epoch_tokens"]
