"""Sample captions of validation images, to look at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from capgen.config import TrainConfig
from capgen.records import Example, SampleEvent
from capgen.training.data import epoch_order
from capgen.training.validation.validate import Validation


def samples(
    config: TrainConfig, epoch: int, examples: Sequence[Example], validation: Validation
) -> Iterator[SampleEvent]:
    """Yield `config.test_samples_per_epoch` images, different ones in each epoch, and then the
    `config.followed_samples`, which are the same in each epoch.
    """
    scores = validation.scores
    if scores is None:
        return
    drawn = _picks(config, epoch, len(examples))[: config.test_samples_per_epoch]
    followed = _picks(config, 0, len(examples))[: config.followed_samples]
    for numbers, is_followed in ((drawn, False), (followed, True)):
        for number in numbers:
            example = examples[number]
            yield SampleEvent(
                epoch=epoch,
                image=example.image_id,
                caption=scores.captions[example.image_id],
                references=example.references,
                metrics=scores.per_image[example.image_id],
                path="" if example.outside else str(example.image),
                followed=is_followed,
            )


def _picks(config: TrainConfig, epoch: int, count: int) -> list[int]:
    seed = epoch_order.random_seed(config.seed, epoch_order.SAMPLES, epoch)
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed)).tolist()
