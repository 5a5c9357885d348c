"""Notices a training loss that rises far, as with too high a learning rate."""

from __future__ import annotations

import math
from collections.abc import Iterator

from capgen.config import TrainConfig
from capgen.records import Notice
from capgen.training.optimization.loss_meter import Meter

# A training loss this many times the lowest has exploded.
_RISEN = 1.3


class RisingLoss:
    """Compares the loss of each epoch with the lowest of the epochs before.

    Before the first epoch that is the loss of a model that guesses every token. Losses of
    self-critical training are not above 0, so they never count as risen.

    Args:
        config: The run's settings.
        words: Size of the vocabulary.
    """

    def __init__(self, config: TrainConfig, words: int) -> None:
        self._config = config
        self._lowest = math.log(words)

    def take(self, epoch: int, meter: Meter) -> Iterator[Notice]:
        """Take in the loss of an epoch; yield a notice if it is far above the lowest."""
        loss = self._captions_loss(meter)
        if loss > _RISEN * self._lowest > 0:
            yield Notice(
                message=f"The training loss of epoch {epoch} is {loss:.2f}, after "
                f"{self._lowest:.2f}: the learning rate is probably too high"
            )
        self._lowest = min(self._lowest, loss)

    def _captions_loss(self, meter: Meter) -> float:
        """Return the epoch's loss without what the encoder learns beside captions.

        The classes to keep are all there at the start: their loss rises from 0.
        """
        numbers, config = meter.epoch_numbers, self._config
        concepts = config.concept_weight * numbers.get("concepts", 0.0)
        kept = config.keep_classes * numbers.get("kept_classes", 0.0)
        return meter.epoch_mean - concepts - kept
