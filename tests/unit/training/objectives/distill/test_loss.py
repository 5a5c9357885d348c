"""What teachers add to the loss."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from capgen.training.data.packed_captions import CaptionCodec, pack_captions
from capgen.training.objectives.base import Share
from capgen.training.objectives.cross_entropy import CaptionObjective, CrossEntropy
from capgen.training.objectives.distill.loss import (
    Distilled,
    SequenceTeaching,
    TokenTeaching,
    divergence_sum,
)
from tests.tiny_models import tiny_mini
from tests.training_runs import SENTENCES


class Fixed:
    """A teacher whose scores are given, and its images."""

    def __init__(self, scores):
        self.scores = scores

    def logits(self, states, captions):
        return self.scores

    def batch(self, numbers, generator=None):
        return numbers


@pytest.fixture
def student():
    made = tiny_mini(SENTENCES)
    made.model.eval()
    return made


@pytest.fixture
def share(student):
    codec = CaptionCodec.of(student, 24)
    rows = [codec.encode(SENTENCES[:2]), codec.encode(SENTENCES[2:3])]
    captions = pack_captions(rows, pad=0, unknown=codec.unknown)
    pixels = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    return Share(
        images=torch.tensor([0, 1]),
        inputs=pixels,
        captions=captions,
        tokens=captions.tokens,
        step_images=2,
        step=0,
    )


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_divergence_is_that_of_the_definition(temperature):
    rng = np.random.default_rng(0)
    logits, other = rng.normal(size=(2, 7, 11))

    def softmax(values):
        powers = np.exp(values / temperature)
        return powers / powers.sum(-1, keepdims=True)

    p, q = softmax(other), softmax(logits)
    expected = temperature**2 * (p * np.log(p / q)).sum()
    found = divergence_sum(torch.from_numpy(logits), torch.from_numpy(p), temperature)
    assert found.item() == pytest.approx(expected)
    assert divergence_sum(torch.from_numpy(other), torch.from_numpy(p), temperature).item() == (
        pytest.approx(0, abs=1e-12)
    )


def test_the_gradient_is_the_difference_of_the_distributions():
    """T² makes it T · (q - p), whatever T: near p - q of the logits for a high T."""
    logits = torch.randn(3, 5, dtype=torch.float64, requires_grad=True)
    target = F.softmax(torch.randn(3, 5, dtype=torch.float64), dim=-1)
    divergence_sum(logits, target, 2.0).backward()
    expected = 2.0 * (F.softmax(logits.detach() / 2.0, dim=-1) - target)
    torch.testing.assert_close(logits.grad, expected)


def test_several_teachers_are_their_mean_distribution(student, share):
    objective = CaptionObjective(student.model, cached=False)
    states = objective.encode(share.inputs)
    logits = objective.logits(states, share.captions)
    one, two = torch.randn(2, *logits.shape)
    both = TokenTeaching([(Fixed(one), Fixed(None)), (Fixed(two), Fixed(None))], 2.0)
    mean = (F.softmax(one / 2, dim=-1) + F.softmax(two / 2, dim=-1)) / 2
    expected = divergence_sum(logits, mean, 2.0) / share.tokens
    torch.testing.assert_close(both.loss(share, states, logits), expected)


def test_a_student_that_equals_its_teacher_learns_nothing_from_it(student, share):
    objective = CaptionObjective(student.model, cached=False)
    states = objective.encode(share.inputs).detach()
    teaching = TokenTeaching([(objective, Fixed(None))], 1.0)
    teaching.teachers[0][1].batch = lambda numbers, generator=None: states
    loss = Distilled(objective, teaching, 1.0)(share).loss
    assert loss.item() == pytest.approx(0, abs=1e-6)


def test_the_weight_goes_from_the_captions_to_the_teachers(student, share):
    objective = CaptionObjective(student.model, cached=False, label_smoothing=0.1)
    plain = CrossEntropy(objective)(share).loss.item()
    scores = torch.randn(share.tokens, student.model.config.decoder.vocab_size)
    teaching = TokenTeaching([(Fixed(scores), Fixed(None))], 1.0)
    losses = {w: Distilled(objective, teaching, w)(share) for w in (0.0, 0.25, 1.0)}
    assert losses[0.0].loss.item() == pytest.approx(plain)
    human, taught = losses[0.25].numbers.tolist()
    assert human == pytest.approx(plain)
    assert losses[1.0].loss.item() == pytest.approx(taught)
    assert losses[0.25].loss.item() == pytest.approx(0.75 * human + 0.25 * taught)


def test_the_teachers_captions_are_means_a_image_however_a_step_is_cut(student):
    objective = CaptionObjective(student.model, cached=False)
    codec = CaptionCodec.of(student, 24)
    rows = [codec.encode([text]) for text in ("a red dog", SENTENCES[1], SENTENCES[7])]
    teaching = SequenceTeaching(objective, rows, codec)
    states = torch.randn(3, 4, 64)

    def part(numbers):
        share = Share(
            images=torch.tensor(numbers),
            inputs=states,
            captions=pack_captions([rows[0]], pad=0, unknown=None),
            tokens=1,
            step_images=3,
            step=0,
        )
        return teaching.loss(share, states[numbers], torch.empty(0))

    def alone(number):
        captions = pack_captions([rows[number]], pad=0, unknown=codec.unknown)
        return objective.loss_sum(states[number : number + 1], captions) / captions.tokens

    expected = sum(alone(number) for number in range(3)) / 3
    torch.testing.assert_close(part([0, 1, 2]), expected)
    torch.testing.assert_close(part([2, 0]) + part([1]), expected)


def test_an_idle_process_adds_nothing_and_has_gradients(student, share):
    objective = CaptionObjective(student.model, cached=False)
    codec = CaptionCodec.of(student, 24)
    rows = [codec.encode(SENTENCES[:1])] * 2
    idle = Share(
        images=share.images[:1],
        inputs=share.inputs[:1],
        captions=pack_captions([rows[0]], pad=0, unknown=None).without_targets(),
        tokens=9,
        step_images=4,
        step=0,
        idle=True,
    )
    found = Distilled(objective, SequenceTeaching(objective, rows, codec), 0.5)(idle)
    assert found.loss.item() == 0
    found.loss.backward()
    grads = [p.grad for p in student.model.parameters() if p.grad is not None]
    assert grads
    assert not any(grad.any() for grad in grads)
