"""A loss that rises far is noticed, beside what else the encoder learns."""

from __future__ import annotations

import math

import pytest
import torch

from capgen.config import train_config
from capgen.training.optimization.loss_meter import Meter
from capgen.training.run.rising_loss import RisingLoss

WORDS = 100
GUESS = math.log(WORDS)


def epoch(loss: float, **numbers: float) -> Meter:
    """The meter of an epoch of one step."""
    meter = Meter(torch.device("cpu"), tuple(numbers))
    meter.add(torch.tensor(loss), 10, 1, torch.tensor(list(numbers.values())))
    meter.report()
    return meter


@pytest.mark.parametrize(
    ("losses", "noticed"),
    [
        ((1.2 * GUESS,), []),  # no more than guessing
        ((1.4 * GUESS,), [1]),
        ((2.0, 2.5, 2.7, 1.0, 1.4), [3, 5]),  # after the lowest, not after the last
        ((-1.0, -0.1), []),  # of self-critical training
    ],
)
def test_losses_far_above_the_lowest(losses: tuple[float, ...], noticed: list[int]) -> None:
    rising = RisingLoss(train_config("mini"), WORDS)
    assert [n for n, loss in enumerate(losses, 1) if list(rising.take(n, epoch(loss)))] == noticed


def test_what_the_encoder_learns_beside_captions_does_not_count() -> None:
    rising = RisingLoss(train_config("mini", keep_classes=10.0, concept_weight=2.0), WORDS)
    assert not list(rising.take(1, epoch(3.0)))
    assert not list(rising.take(2, epoch(3.0 + 10.0 + 2.0, kept_classes=1.0, concepts=1.0)))
    assert list(rising.take(3, epoch(15.0)))
