"""The decoder learns from captions without images: beside what it learns from images, or alone.

Beside:

    loss = the captions' loss + text weight · cross-entropy of the text captions

In self-critical training, the weight is multiplied by the share that cross-entropy has there.

Where an image would be, the decoder sees a single state of zeros. So nothing is added to the
captioner, and nothing that it learns of text depends on an image. Each image of a step brings its
own text captions: what a step learns does not depend on how it is cut.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from capgen.config import TrainConfig
from capgen.training.data import epoch_order
from capgen.training.data.packed_captions import CaptionCodec, Ids
from capgen.training.objectives.base import Share, ShareLoss, StepLoss
from capgen.training.objectives.cross_entropy import CaptionObjective
from capgen.training.objectives.learner import Learner


class TextAlone:
    """The mean cross-entropy of the tokens of captions without images, as an objective.

    The inputs are states (see `capgen.training.data.inputs.NoImages`): the encoder has no part.
    """

    names: tuple[str, ...] = ()

    def __init__(self, objective: CaptionObjective) -> None:
        self.objective = objective

    def __call__(self, share: Share) -> ShareLoss:
        loss = self.objective.loss_sum(share.inputs, share.captions) / max(share.tokens, 1)
        return ShareLoss(loss, torch.zeros(0, device=loss.device))


class WithText:
    """A captions' loss and, with a weight, the cross-entropy of captions without images.

    Args:
        captions: The captions' loss.
        objective: The captioner's forward pass.
        codec: Packs captions.
        rows: The ids of the text captions.
        config: The weight, the text captions per image, and the seed.
    """

    def __init__(
        self,
        captions: StepLoss,
        objective: CaptionObjective,
        codec: CaptionCodec,
        rows: Sequence[Ids],
        config: TrainConfig,
    ) -> None:
        self.captions = captions
        self.objective = objective
        self.codec = codec
        self.rows = rows
        self.mean_tokens = sum(len(ids) - 1 for ids in rows) / len(rows)
        self.per_image = config.text_captions_per_image
        self.weight = config.text_weight
        if config.objective == "scst":
            self.weight *= config.cross_entropy_share
        self.seed = config.seed
        self.width = objective.model.config.encoder.hidden_size
        self.names = (*(captions.names or ("cross_entropy",)), "text")

    def __call__(self, share: Share) -> ShareLoss:
        captions = self.captions(share)
        text = self._text_loss(share, captions.loss.device)
        numbers = captions.numbers if self.captions.names else captions.loss.detach()[None]
        return ShareLoss(
            captions.loss + self.weight * text, torch.cat([numbers, text.detach()[None]])
        )

    def _text_loss(self, share: Share, device: torch.device) -> Tensor:
        """Return the part of the text loss, float32 ().

        It is divided by the tokens that as many captions have on average, which is known before.
        """
        drawn = [self._drawn(share.step, image) for image in share.images.tolist()]
        packed = self.codec.pack(drawn).to(device)
        nothing = torch.zeros(len(drawn), 1, self.width, device=device, dtype=self._dtype)
        tokens = self.mean_tokens * self.per_image * max(share.step_images, 1)
        return self.objective.loss_sum(nothing, packed) * (not share.idle) / tokens

    def _drawn(self, step: int, image: int) -> list[Ids]:
        seed = epoch_order.random_seed(self.seed, epoch_order.TEXT, step, image)
        numbers = np.random.default_rng(seed).integers(len(self.rows), size=self.per_image)
        return [self.rows[number] for number in numbers]

    @property
    def _dtype(self) -> torch.dtype:
        return next(self.objective.model.decoder.parameters()).dtype


def with_text(
    captions: StepLoss, learner: Learner, texts: Sequence[str], config: TrainConfig
) -> StepLoss:
    """Return a captions' loss with that of captions without images, if there are any."""
    rows = learner.codec.encode(texts) if texts and config.text_weight else []
    if not rows:
        return captions
    return WithText(captions, learner.objective, learner.codec, rows, config)
