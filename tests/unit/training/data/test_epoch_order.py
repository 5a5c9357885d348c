"""The order of images in an epoch."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from capgen.training.data.epoch_order import ORDER, Mix, random_seed


def test_one_data_set_is_a_permutation():
    mix = Mix(((50, 1.0),))
    generator = torch.Generator().manual_seed(random_seed(3, ORDER, 7))
    assert torch.equal(mix.order(3, 7), torch.randperm(50, generator=generator))


def test_weights_are_how_often_a_image_comes():
    mix = Mix(((40, 1.0), (20, 2.25), (30, 0.5)))
    assert mix.drawn == (40, 45, 15)
    assert mix.images == 100
    seen: Counter[int] = Counter()
    for epoch in range(1, 201):
        counts = Counter(mix.order(0, epoch).tolist())
        assert counts.total() == 100
        assert {counts[number] for number in range(40)} == {1}
        assert {counts[number] for number in range(40, 60)} == {2, 3}
        assert {counts[number] for number in range(60, 90)} == {0, 1}
        seen.update(counts)
    for number in range(40, 60):
        assert seen[number] / 200 == pytest.approx(2.25, abs=0.15)
    for number in range(60, 90):
        assert seen[number] / 200 == pytest.approx(0.5, abs=0.15)


def test_seed_and_epoch_decide():
    mix = Mix(((10, 0.5), (10, 1.5)))
    assert torch.equal(mix.order(1, 2), mix.order(1, 2))
    assert not torch.equal(mix.order(1, 2), mix.order(1, 3))
    assert not torch.equal(mix.order(1, 2), mix.order(2, 2))


def test_a_tiny_weight_still_draws_one():
    assert Mix(((10, 0.001), (10, 1.0))).drawn == (1, 10)


def test_images_of_one_data_set_may_have_weights_of_their_own() -> None:
    mix = Mix.of([((10, 1.0), (4, 3.0)), ((20, 0.5),)])
    assert mix.drawn == (10 + 12, 10)
    counts = torch.bincount(mix.order(0, 1), minlength=34)
    assert counts[:10].tolist() == [1] * 10
    assert counts[10:14].tolist() == [3] * 4
    assert counts[14:].sum() == 10


def test_equal_weights_give_the_same_order_however_they_are_given() -> None:
    plain, grouped = Mix(((30, 1.5), (10, 1.0))), Mix.of([((30, 1.5),), ((10, 1.0),)])
    assert torch.equal(plain.order(3, 2), grouped.order(3, 2))
    assert plain.drawn == grouped.drawn
