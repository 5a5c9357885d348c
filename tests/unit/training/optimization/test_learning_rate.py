"""Kinds of parameters and schedules of the learning rate."""

from __future__ import annotations

import math

import pytest

from capgen.config import train_config
from capgen.training.optimization.learning_rate import part_of, schedule_factor


def test_parts():
    mini, clip = train_config("mini"), train_config("clip-gpt2")
    assert part_of("encoder.neck.layer.0.norm_1.weight", mini) == "new"
    assert part_of("encoder.backbone._bn1.bias", mini) == "encoder"
    assert part_of("decoder.transformer.wte.weight", mini) == "new"
    assert part_of("decoder.transformer.h.3.ln_cross_attn.bias", clip) == "new"


def test_warm_up_then_cosine_to_zero():
    factor = schedule_factor(train_config("mini", warmup_steps=10), 110)
    assert factor(0) == pytest.approx(0.1)
    assert factor(9) == 1.0
    assert factor(10) == 1.0
    assert factor(60) == pytest.approx(0.5)
    assert factor(35) == pytest.approx(0.5 * (1 + math.cos(math.pi / 4)))
    assert factor(110) == pytest.approx(0.0, abs=1e-12)


def test_linear_and_constant():
    linear = schedule_factor(train_config("mini", warmup_steps=0, schedule="linear"), 100)
    assert [linear(step) for step in (0, 50, 100)] == [1.0, 0.5, 0.0]
    constant = schedule_factor(train_config("mini", warmup_steps=4, schedule="constant"), 100)
    assert [constant(step) for step in (0, 3, 99)] == [0.25, 1.0, 1.0]


def test_a_short_run_still_reaches_the_peak():
    factor = schedule_factor(train_config("mini", warmup_steps=200), 10)
    assert max(factor(step) for step in range(10)) == 1.0
