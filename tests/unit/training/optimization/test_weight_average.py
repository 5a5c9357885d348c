"""The moving average of the weights."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from capgen.training.optimization.weight_average import WeightAverage


def _feed(values, decay):
    parameter = nn.Parameter(torch.tensor([100.0]))
    average = WeightAverage([parameter], decay)
    for value in values:
        parameter.data.fill_(value)
        average.update()
    return parameter, average


def test_it_is_the_weighted_mean_of_what_was_seen():
    values, decay = [1.0, 2.0, 4.0], 0.5
    _, average = _feed(values, decay)
    weights = [decay ** (len(values) - 1 - index) for index in range(len(values))]
    expected = sum(w * v for w, v in zip(weights, values, strict=True)) / sum(weights)
    assert average.average[0].item() == pytest.approx(expected)  # 100, the start, does not count


def test_a_decay_of_zero_is_the_newest_weights():
    _, average = _feed([1.0, 2.0, 3.0], 0.0)
    assert average.average[0].item() == 3.0


def test_it_is_applied_for_a_while():
    parameter, average = _feed([1.0, 2.0], 0.5)
    with pytest.raises(KeyError), average.applied():
        assert parameter.item() == pytest.approx(5 / 3)
        raise KeyError
    assert parameter.item() == 2.0
