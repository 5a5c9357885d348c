"""Sampling draws from the model's distribution, whatever the batch and the mode."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from capgen.captioning.decoding.noun_table import NounTable
from capgen.captioning.runtimes.torch_processors import NounsOnce
from capgen.training.objectives.scst.sampler import Sampler, Samples, _reached
from tests.tiny_captioners import captioning, clip_vision, gpt2, vit

END = 256


@pytest.fixture(scope="module", params=["plain", "projected", "scaled by layer"])
def model(request):
    """A captioner with room for 12 tokens; widths may differ, attention may scale by layer."""
    if request.param == "plain":
        return captioning(clip_vision()).model
    if request.param == "projected":
        return captioning(vit()).model
    return captioning(clip_vision(), gpt2(scale_attn_by_inverse_layer_idx=True)).model


def states_of(model, images=3):
    width = model.encoder.config.hidden_size
    return torch.randn(images, 5, width, generator=torch.Generator().manual_seed(1))


def sampler_of(model, barred=(), temperature=1.0, tokens=11):
    return Sampler(
        model, start=END, end=END, barred=barred, max_tokens=tokens, temperature=temperature
    )


def uniform(images=3, samples=4, tokens=11, seed=2):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(images, samples, tokens, generator=generator)


def slowly(sampler, states, numbers):
    """Draw one caption token by token with the whole model."""
    model = sampler.model
    if hasattr(model, "enc_to_dec_proj"):
        states = model.enc_to_dec_proj(states)
    ids = [END]
    for number in numbers.tolist():
        logits = model.decoder(
            input_ids=torch.tensor([ids]), encoder_hidden_states=states[None]
        ).logits[0, -1]
        scores = sampler.scores(logits[None], torch.tensor([ids[1:]], dtype=torch.int64))
        chances = torch.softmax(scores[0], -1).cumsum(0)
        ids.append(int((chances <= number * chances[-1]).sum()))
        if ids[-1] == END:
            break
    return ids[1:]


@torch.no_grad()
@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_samples_are_those_of_the_whole_model(model, temperature):
    # A likely end, so that captions leave the batch at different times.
    sampler = sampler_of(model, barred=[END, 3, *range(20, 250)], temperature=temperature)
    states, numbers = states_of(model), uniform()
    drawn = sampler.draw(states, numbers)
    lengths = set()
    for image in range(3):
        for sample in range(4):
            expected = slowly(sampler, states[image], numbers[image, sample])
            length = int(drawn.lengths[image, sample])
            lengths.add(length)
            assert drawn.ids[image, sample, :length].tolist() == expected
            assert (drawn.ids[image, sample, length:] == END).all()
            assert bool(drawn.ended[image, sample]) == (expected[-1] == END)
    assert len(lengths) > 1
    assert not (drawn.ids == 3).any()


def test_a_images_samples_do_not_depend_on_the_batch(model):
    sampler, states, numbers = sampler_of(model), states_of(model), uniform()
    together = sampler.draw(states, numbers).ids
    alone = torch.cat([sampler.draw(states[i : i + 1], numbers[i : i + 1]).ids for i in range(3)])
    assert torch.equal(together, alone)


def test_samples_follow_the_models_distribution(model):
    sampler = sampler_of(model, tokens=1)
    states = states_of(model, 1)
    count = 20_000
    drawn = sampler.draw(states, torch.arange(count).view(1, count, 1).float() / count)
    shares = torch.bincount(drawn.ids.flatten(), minlength=257) / count
    projected = model.enc_to_dec_proj(states) if hasattr(model, "enc_to_dec_proj") else states
    logits = model.decoder(input_ids=torch.tensor([[END]]), encoder_hidden_states=projected).logits[
        0, -1
    ]
    torch.testing.assert_close(shares, torch.softmax(logits, -1), atol=2e-4, rtol=0)


def test_dropout_is_off_in_training_mode():
    model = captioning(clip_vision(), gpt2(embd_pdrop=0.5, resid_pdrop=0.5, attn_pdrop=0.5)).model
    sampler, states, numbers = sampler_of(model), states_of(model), uniform()
    calm = sampler.draw(states, numbers).ids
    model.train()
    assert torch.equal(sampler.draw(states, numbers).ids, calm)
    assert model.training


def test_a_sum_that_steps_at_a_barred_token_does_not_draw_it():
    """Sums of GPUs are rounded differently from place to place."""
    shares = torch.tensor([[0.25, 0.0, 0.5, 0.25]]).expand(4, -1)
    step = 2.0**-20
    sums = torch.tensor([[0.25, 0.25 + step, 0.75, 1.0]]).expand(4, -1)
    numbers = torch.tensor([0.25 - step, 0.25, 0.25 + step, 0.9])
    assert _reached(shares, sums, numbers).tolist() == [0, 2, 2, 3]


@torch.no_grad()
def test_no_noun_is_drawn_twice(model):
    """Each form is a noun of its own; where only nouns are left that were said, it ends."""
    numbers = np.zeros(257, np.int64)
    numbers[20:60] = np.arange(40) // 2 + 1  # two tokens per noun
    once = NounsOnce(NounTable(numbers))
    barred = [*range(16), *range(60, 256)]
    free = sampler_of(model, barred=barred)
    sampler = Sampler(model, start=END, end=END, barred=barred, max_tokens=11, once=once)
    states, chances = states_of(model), uniform(samples=40)

    def repeats(samples):
        said = [numbers[row[row < END].numpy()] for row in samples.ids.flatten(0, 1)]
        return sum(len(set(row[row > 0])) < (row > 0).sum() for row in said)

    drawn = sampler.draw(states, chances)
    assert repeats(free.draw(states, chances)) > 20
    assert repeats(drawn) == 0
    # They are those of the whole model, token by token.
    expected = slowly(sampler, states[1], chances[1, 5])
    assert drawn.ids[1, 5, : len(expected)].tolist() == expected
    # Nouns that are said leave the chances to the others.
    assert not torch.equal(free.draw(states, chances).ids, drawn.ids)
    history = torch.tensor([[20, END], [20, 31]])
    chance = torch.softmax(sampler.scores(torch.zeros(2, 257), history), -1)
    assert chance[0, 20:24].tolist() == pytest.approx([0, 0, 1 / 43, 1 / 43])
    assert chance[1, [20, 21, 30, 31, 32, END]].tolist() == pytest.approx(
        [0, 0, 0, 0, 1 / 41, 1 / 41]
    )


def test_histories_are_the_tokens_before_each_token(model):
    sampler = sampler_of(model, tokens=3)
    ids = torch.tensor([[[5, 6, END], [END, END, END]], [[7, END, END], [8, 9, 10]]])
    lengths = torch.tensor([[3, 1], [2, 3]])
    found = sampler.histories(Samples(ids, lengths, lengths > 0)).tolist()
    assert [[token for token in row if token != END] for row in found] == [
        *([], [5], [5, 6]),
        [],
        *([], [7]),
        *([], [8], [8, 9]),
    ]
