"""Groups of parameters by learning rate and weight decay, and schedules of the rate."""

from __future__ import annotations

import math

import pytest
import torch

from capgen.config import train_config
from capgen.models.build import build_clip_gpt2
from capgen.training.optimization.learning_rate import schedule_factor
from capgen.training.optimization.optimizer import build_optimizer, part_of
from capgen.training.optimization.trained_weights import TrainedWeights
from capgen.training.processes.base import Alone
from tests.tiny_models import save_tiny_clip, save_tiny_gpt2, tiny_mini

CPU = torch.device("cpu")


def _groups(model, config):
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    trained = TrainedWeights(model, Alone()).named
    return {
        names[id(parameter)]: (group["lr"], group["weight_decay"])
        for group in build_optimizer(model, trained, config, CPU).param_groups
        for parameter in group["params"]
    }


def test_mini_trains_the_backbone_slower_and_decays_matrices_only():
    model = tiny_mini(["a dog"]).model
    groups = _groups(model, train_config("mini", weight_decay=0.05))
    assert set(groups) == {name for name, _ in model.named_parameters()}
    assert groups["encoder.backbone._conv_stem.weight"] == (2e-4, 0.05)
    assert groups["encoder.backbone._bn0.weight"] == (2e-4, 0.0)
    assert groups["encoder.neck.projection.weight"] == (5e-4, 0.05)
    assert groups["encoder.neck.projection.bias"] == (5e-4, 0.0)
    assert groups["encoder.neck.position_embeddings"] == (5e-4, 0.0)
    assert groups["decoder.transformer.wte.weight"] == (5e-4, 0.0)
    assert groups["decoder.transformer.wpe.weight"] == (5e-4, 0.0)
    assert groups["decoder.transformer.h.0.crossattention.c_attn.weight"] == (5e-4, 0.05)
    assert groups["decoder.transformer.h.0.ln_1.weight"] == (5e-4, 0.0)


def test_clip_gpt2_trains_what_is_pretrained_slower(tmp_path):
    clip, gpt2 = save_tiny_clip(tmp_path / "clip"), save_tiny_gpt2(tmp_path / "gpt2", ["a dog"])
    model = build_clip_gpt2(str(clip), str(gpt2)).model
    groups = _groups(model, train_config("clip-gpt2"))
    assert groups["enc_to_dec_proj.weight"] == (2e-4, 0.05)
    assert groups["decoder.transformer.h.0.crossattention.q_attn.weight"] == (2e-4, 0.05)
    assert groups["decoder.transformer.h.0.attn.c_attn.weight"] == (5e-5, 0.05)
    assert groups["decoder.transformer.wte.weight"] == (5e-5, 0.0)
    # transformers puts them under `vision_model.` or not, by version.
    vision = {name.replace("vision_model.", ""): group for name, group in groups.items()}
    assert vision["encoder.encoder.layers.0.mlp.fc1.weight"] == (1e-5, 0.05)
    assert vision["encoder.embeddings.class_embedding"] == (1e-5, 0.0)
    assert vision["encoder.embeddings.position_embedding.weight"] == (1e-5, 0.0)


def test_what_is_frozen_is_left_out():
    model = tiny_mini(["a dog"]).model
    model.encoder.backbone.requires_grad_(False)
    groups = _groups(model, train_config("mini"))
    assert not any(name.startswith("encoder.backbone") for name in groups)
    assert any(name.startswith("encoder.neck") for name in groups)


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
