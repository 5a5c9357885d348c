"""The captioner that a run trains, with what training needs of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import torch

from capgen.config import TrainConfig
from capgen.models.build import Captioning
from capgen.training.data.frozen_features import FrozenFront
from capgen.training.data.packed_captions import CaptionCodec
from capgen.training.objectives.cross_entropy import CaptionObjective


@dataclass(frozen=True)
class Learner:
    """A captioner in training: its forward pass, how captions become ids, and the device."""

    captioning: Captioning
    objective: CaptionObjective
    codec: CaptionCodec
    device: torch.device

    @classmethod
    def of(cls, captioning: Captioning, config: TrainConfig, device: torch.device) -> Self:
        """Return a captioner as the settings of a run train it."""
        objective = CaptionObjective(
            captioning.model,
            cached=config.caches_features,
            label_smoothing=config.label_smoothing,
        )
        return cls(captioning, objective, CaptionCodec.of(captioning, config.max_tokens), device)

    @cached_property
    def frozen_front(self) -> FrozenFront:
        """The frozen part of the encoder, on the device."""
        module = self.objective.front.to(self.device)
        return FrozenFront(module, self.captioning.preprocessor, self.device)
