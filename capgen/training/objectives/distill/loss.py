"""Knowledge distillation: a captioner learns from teachers as well as from human captions.

    loss = (1 - weight) · cross-entropy of the captions + weight · the teachers' loss

By token, the teachers' loss is the divergence from their distribution over the next token, given
the human caption so far; by sequence, the cross-entropy of their own captions of the image.

Sources: Hinton et al., "Distilling the Knowledge in a Neural Network" (2015); Kim and Rush,
"Sequence-Level Knowledge Distillation" (2016).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from capgen.training.data.inputs import Inputs
from capgen.training.data.packed_captions import CaptionCodec, Ids
from capgen.training.objectives.base import Share, ShareLoss
from capgen.training.objectives.cross_entropy import CaptionObjective, cross_entropy_sum


class Teaching(Protocol):
    """The teachers' loss."""

    def loss(self, share: Share, states: Tensor, logits: Tensor) -> Tensor:
        """Return a micro-batch's part of the teachers' loss, float32 ().

        Args:
            share: The micro-batch.
            states: The student's encoder states for its images, (B, P, E).
            logits: The student's scores of the captions' tokens, (N, V) float32.
        """
        ...


class Distilled:
    """Cross-entropy of the captions and, with a weight, the teachers' loss."""

    names: tuple[str, ...] = ("cross_entropy", "distillation")

    def __init__(self, objective: CaptionObjective, teaching: Teaching, weight: float) -> None:
        self.objective = objective
        self.teaching = teaching
        self.weight = weight

    def __call__(self, share: Share) -> ShareLoss:
        states = self.objective.states(share)
        logits = self.objective.logits(states, share.captions)
        human = cross_entropy_sum(logits, share.captions, self.objective.label_smoothing)
        human = human / max(share.tokens, 1)
        taught = self.teaching.loss(share, states, logits)
        loss = (1 - self.weight) * human + self.weight * taught
        return ShareLoss(loss, torch.stack([human.detach(), taught.detach()]))


class TokenTeaching:
    """Teachers' distributions over each next token.

    The teachers see images without augmentation, so that their encoders' states are computed
    once.

    Args:
        teachers: Each teacher's forward pass, in evaluation mode, with its encoder's last
            states for the training images.
        temperature: Divides all logits.
    """

    def __init__(
        self, teachers: Sequence[tuple[CaptionObjective, Inputs]], temperature: float
    ) -> None:
        self.teachers = teachers
        self.temperature = temperature

    def loss(self, share: Share, states: Tensor, logits: Tensor) -> Tensor:
        """Return the mean divergence per token from the teachers' mean distribution."""
        with torch.no_grad():
            mean = torch.zeros_like(logits)
            for teacher, images in self.teachers:
                scores = teacher.logits(images.batch(share.images), share.captions)
                mean += F.softmax(scores / self.temperature, dim=-1) / len(self.teachers)
        return divergence_sum(logits, mean, self.temperature) / max(share.tokens, 1)


class SequenceTeaching:
    """Teachers' own captions of the training images.

    Args:
        objective: The student's forward pass.
        rows: The ids of the teachers' captions of each training image.
        codec: How captions became ids.
    """

    def __init__(
        self, objective: CaptionObjective, rows: Sequence[Sequence[Ids]], codec: CaptionCodec
    ) -> None:
        self.objective = objective
        self.rows = rows
        self.codec = codec

    def loss(self, share: Share, states: Tensor, logits: Tensor) -> Tensor:
        """Return the cross-entropy of the teachers' captions: mean per token, then per image."""
        packed = self.codec.pack([self.rows[number] for number in share.images.tolist()])
        if share.idle:
            packed = packed.without_targets()
        packed = packed.to(states.device)
        scores = self.objective.logits(states, packed)
        losses = F.cross_entropy(
            scores, packed.targets, reduction="none", label_smoothing=self.objective.label_smoothing
        )
        images = packed.picks // packed.input_ids.shape[1]  # the row of each token
        counts = torch.bincount(images, minlength=len(share.images))
        return (losses / counts[images]).sum() / max(share.step_images, 1)


def divergence_sum(logits: Tensor, target: Tensor, temperature: float) -> Tensor:
    """Return T² · KL(target ‖ softmax(logits / T)), summed over tokens, float32 ().

    The factor keeps the size of gradients independent of the temperature T.

    Args:
        logits: The student's, (N, V).
        target: The teachers' probabilities at the same temperature, (N, V).
        temperature: T.
    """
    student = F.log_softmax(logits / temperature, dim=-1)
    return temperature**2 * F.kl_div(student, target, reduction="sum")
