"""What the encoder learns beside captions: which nouns they say, and its old classes.

    loss = the captions' loss
         + concept weight · binary cross-entropy, summed over concepts
         + keep classes · T² · KL(the ImageNet model's classes ‖ the encoder's)

The second is learning without forgetting: the frozen ImageNet model sees the same crops.

Source: Li and Hoiem, "Learning without Forgetting" (2017), with their temperature T of 2.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from capgen.config import TrainConfig
from capgen.models.concept_head import ConceptHead
from capgen.models.imagenet import ImageNetClassifier
from capgen.models.torch_devices import autocast_dtype
from capgen.training.concepts.add_concepts import concept_labels, has_concepts
from capgen.training.concepts.concept_labels import ConceptLabels
from capgen.training.data.transfer import to_device
from capgen.training.objectives.base import Share, ShareLoss, StepLoss
from capgen.training.objectives.cross_entropy import CaptionObjective
from capgen.training.objectives.learner import Learner

_TEMPERATURE = 2.0


class WithEncoderLosses:
    """A captions' loss and, with weights, those of the concept head and of the classes.

    Args:
        captions: The captions' loss.
        objective: The captioner's forward pass.
        head: Its concept head.
        concepts: What the head learns, and the weight; None: it does not.
        classes: The ImageNet model, and the weight of its classes; None: they are not kept.
    """

    def __init__(
        self,
        captions: StepLoss,
        objective: CaptionObjective,
        head: ConceptHead,
        *,
        concepts: tuple[ConceptLabels, float] | None,
        classes: tuple[ImageNetClassifier, float] | None,
    ) -> None:
        self.captions = captions
        self.objective = objective
        self.head = head
        self.concepts = concepts
        self.classes = classes
        self.names = (
            *(captions.names or ("cross_entropy",)),
            *(("concepts",) if concepts else ()),
            *(("kept_classes",) if classes else ()),
        )

    def __call__(self, share: Share) -> ShareLoss:
        features = self.objective.features(share.inputs)  # (B, 1280, R, C)
        captions = self.captions(share._replace(features=features))
        loss = captions.loss
        numbers = [captions.numbers if self.captions.names else loss.detach()[None]]
        parts = self._parts(share, features)
        for part, weight in parts:
            loss = loss + weight * part
            numbers.append(part.detach()[None])
        return ShareLoss(loss, torch.cat(numbers))

    def _parts(self, share: Share, features: Tensor) -> list[tuple[Tensor, float]]:
        """Return each loss, a mean over the images of the step, with its weight."""
        divisor = max(share.step_images, 1)
        used = 0.0 if share.idle else 1.0
        parts = []
        with torch.autocast(features.device.type, enabled=False):
            pooled = features.float().mean((2, 3))
            logits = self.head.classes(pooled)
            if self.concepts is not None:
                labels, weight = self.concepts
                concepts = self.head.concept_logits(pooled, logits)
                parts.append((used * concept_loss(concepts, labels, share) / divisor, weight))
        if self.classes is not None:
            model, weight = self.classes
            with torch.no_grad():
                before = model(share.inputs).float()
            with torch.autocast(features.device.type, enabled=False):
                kept = class_divergence(logits, before)
            parts.append((used * kept / divisor, weight))
        return parts


def concept_loss(logits: Tensor, labels: ConceptLabels, share: Share) -> Tensor:
    """Return the binary cross-entropy summed over concepts and images, float32 ().

    Concepts that no caption says are not learned.

    Args:
        logits: (B, C) float32.
        labels: Those of all training images.
        share: The micro-batch.
    """
    device = logits.device
    target = to_device(labels.batch(share.images), device)
    weights = to_device(labels.weights[share.images, None] * labels.learned, device)  # (B, C)
    return F.binary_cross_entropy_with_logits(logits, target, weights, reduction="sum")


def class_divergence(logits: Tensor, before: Tensor, temperature: float = _TEMPERATURE) -> Tensor:
    """Return T² · KL(softmax(before / T) ‖ softmax(logits / T)), summed over images, float32 ()."""
    return temperature**2 * F.kl_div(
        (logits / temperature).log_softmax(-1),
        (before / temperature).log_softmax(-1),
        reduction="sum",
        log_target=True,
    )


def with_encoder_losses(
    captions: StepLoss,
    learner: Learner,
    groups: Sequence[Sequence[str]],
    config: TrainConfig,
) -> StepLoss:
    """Return a captions' loss with what the settings add to it, if anything.

    Args:
        captions: The captions' loss.
        learner: The captioner, on its device.
        groups: The captions of each training image.
        config: The run's settings.
    """
    captioning = learner.captioning
    wanted = config.concept_weight or config.keep_classes
    if not wanted or not has_concepts(captioning):
        return captions
    encoder = captioning.model.encoder
    concepts = classes = None
    if config.concept_weight:
        concepts = concept_labels(captioning, groups), config.concept_weight
    if config.keep_classes:
        dtype = autocast_dtype(config.precision, learner.device)
        model = ImageNetClassifier(encoder.config.variant).frozen()
        classes = model.to(learner.device, dtype), config.keep_classes
    return WithEncoderLosses(
        captions, learner.objective, encoder.concept_head, concepts=concepts, classes=classes
    )
