"""How a step is cut into passes."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from capgen.config import TrainConfig, train_config
from capgen.training.data.inputs import FeatureInputs
from capgen.training.data.packed_captions import CaptionCodec, Ids
from capgen.training.objectives.cross_entropy import CaptionObjective
from capgen.training.objectives.learner import Learner
from capgen.training.optimization.micro_batches import images_per_pass, micro_batches
from capgen.training.optimization.trainer import Trainer
from capgen.training.optimization.trainer_state import load_trainer, trainer_state
from tests.tiny_models import tiny_mini

CPU, GPU = torch.device("cpu"), torch.device("cuda")
CODEC = CaptionCodec(tokenizer=None, start=0, end=1, pad=2, unknown=None, max_tokens=32)
# Words of the caption of each image.
WORDS = [3, 20, 4, 30, 12, 3, 19, 8, 9, 25] * 4


def captions(lengths: Sequence[int] = WORDS) -> list[list[Ids]]:
    return [[np.array([0, *[5] * length, 1], dtype=np.int64)] for length in lengths]


def objective(*, cached: bool = True) -> CaptionObjective:
    return CaptionObjective(tiny_mini(["a dog"]).model, cached=cached)


@pytest.mark.parametrize(
    ("device", "batch", "processes", "expected"),
    [(CPU, 64, 1, 16), (CPU, 8, 1, 8), (CPU, 64, 2, 32), (GPU, 64, 1, 64)],
)
def test_a_pass_on_a_cpu_is_smaller_than_a_batch(device, batch, processes, expected):
    config = train_config("mini", batch_size=batch)
    assert images_per_pass(config, objective(), device, processes) == expected


def test_a_pass_of_captions_alone_is_larger():
    config = train_config("mini", objective="text", text_data=Path("a.txt"), batch_size=512)
    assert images_per_pass(config, objective(), CPU) == 64


@pytest.mark.parametrize(
    ("cached", "trained", "whole"), [(0, 1, True), (0, 0, False), (1, 1, False)]
)
def test_an_encoder_that_normalizes_by_its_batch_gets_it_whole(cached, trained, whole):
    made = objective(cached=bool(cached))
    made.front = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4).requires_grad_(bool(trained)))
    config = train_config("mini", batch_size=64)
    assert images_per_pass(config, made, CPU) == (64 if whole else 16)


@pytest.mark.parametrize("ranks", [1, 2])
def test_images_with_about_as_many_words_go_together(ranks):
    numbers = torch.arange(100, 100 + len(WORDS))
    found: list[int] = []
    for rank in range(ranks):
        cut = micro_batches(captions(), numbers, 10 * ranks, CODEC, rank=rank, processes=ranks)
        widths = [batch.captions.input_ids.shape[1] for batch in cut]
        assert [len(batch.images) for batch in cut] == [10] * (4 // ranks)
        assert widths == sorted(widths, reverse=True)
        assert widths[0] > widths[-1]
        for batch in cut:  # each image with its own captions
            for number, row in zip(batch.images.tolist(), batch.captions.segments, strict=True):
                assert int((row == 0).sum()) == WORDS[number - 100] + 1
        found += [number for batch in cut for number in batch.images.tolist()]
    assert sorted(found) == numbers.tolist()


@pytest.mark.parametrize("images", [1, 2, 3, 7, 8])
@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
def test_processes_can_have_as_many_passes_as_each_other(images, ranks):
    numbers = torch.arange(images)
    cut = [
        micro_batches(
            captions(WORDS[:images]), numbers, 4, CODEC, rank=rank, processes=ranks, equal=True
        )
        for rank in range(ranks)
    ]
    assert len({len(batches) for batches in cut}) == 1
    every = [batch for batches in cut for batch in batches]
    seen = [number for batch in every if not batch.idle for number in batch.images.tolist()]
    assert sorted(seen) == numbers.tolist()
    assert sum(batch.captions.tokens for batch in every if batch.idle) == 0


def test_a_step_in_one_pass_keeps_its_order():
    numbers = torch.arange(len(WORDS))
    (batch,) = micro_batches(captions(), numbers, 64, CODEC, rank=0, processes=1)
    assert torch.equal(batch.images, numbers)


def _config() -> TrainConfig:
    return train_config(
        "mini",
        train_encoder="none",
        batch_size=40,
        dropout=0.0,
        learning_rate=1e-2,
        warmup_steps=0,
        num_epochs=9,
        log_every=1,
    )


def trainer(config: TrainConfig) -> Trainer:
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    captioning = tiny_mini(["a dog", "the red car runs fast"])
    captioning.model.encoder.backbone.requires_grad_(False)
    learner = Learner.of(captioning, config, CPU)
    assert learner.objective.cached
    decoder = captioning.model.decoder.config
    rows = [
        [
            np.array(
                [
                    learner.codec.start,
                    *rng.integers(0, decoder.vocab_size, words % decoder.n_positions),
                    learner.codec.end,
                ]
            )
        ]
        for words in WORDS
    ]
    features = rng.normal(size=(len(WORDS), 1280, 2, 2)).astype(np.float16)
    return Trainer(learner, FeatureInputs(features, CPU), rows, config)


def losses(made: Trainer, epochs: Sequence[int]) -> list[float]:
    return [event.loss for epoch in epochs for event in made.epoch(epoch) if event is not None]


def weights(made: Trainer) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in made.weights.parameters])


def test_a_step_in_small_passes_is_the_same_step():
    small, whole = trainer(_config()), trainer(_config())
    assert small.images_per_pass == 16
    whole.images_per_pass = 40
    given, expected = losses(small, range(1, 6)), losses(whole, range(1, 6))
    assert given == pytest.approx(expected, abs=1e-4)
    assert expected[-1] < expected[0] - 0.1  # it learns


def test_a_state_goes_on_in_the_same_passes_and_elsewhere_in_those_of_the_device():
    first = trainer(_config())
    losses(first, [1])
    first.images_per_pass = 5  # as after memory ran out
    state = copy.deepcopy(trainer_state(first))  # it has the tensors of the trainer
    again = trainer(_config())
    load_trainer(again, state)
    assert again.images_per_pass == 5
    assert losses(again, [2, 3]) == losses(first, [2, 3])
    assert torch.equal(weights(again), weights(first))
    elsewhere = trainer(_config())
    load_trainer(elsewhere, dataclasses.replace(state, numbers={**state.numbers, "device": "cuda"}))
    assert elsewhere.images_per_pass == 16
    old = {name: value for name, value in state.numbers.items() if name != "device"}
    load_trainer(elsewhere, dataclasses.replace(state, numbers=old))
    assert elsewhere.images_per_pass == 5
