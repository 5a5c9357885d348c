"""Validation images with their captions, to look at."""

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
    """Yield `config.test_samples_per_epoch` images, other ones each epoch, and then the
    `config.followed_samples` that are the same each epoch.

    Args:
        config: The run's settings.
        epoch: The epoch, from 1.
        examples: The images that were validated on.
        validation: What was generated for them; nothing is yielded if nothing was.
    """
    if not validation.captions:
        return
    drawn = _picks(config, epoch, len(examples))[: config.test_samples_per_epoch]
    followed = _picks(config, 0, len(examples))[: config.followed_samples]
    for numbers, again in ((drawn, False), (followed, True)):
        for number in numbers:
            example = examples[number]
            yield SampleEvent(
                epoch=epoch,
                image=example.image_id,
                caption=validation.captions[example.image_id],
                references=example.references,
                metrics=validation.per_image[example.image_id],
                path=str(example.image),
                followed=again,
            )


def _picks(config: TrainConfig, epoch: int, count: int) -> list[int]:
    seed = epoch_order.random_seed(config.seed, epoch_order.SAMPLES, epoch)
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed)).tolist()
