"""Random validation photos with their captions, to look at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from capgen.config import TrainConfig
from capgen.records import Example, SampleEvent
from capgen.training import order
from capgen.training.validate import Validation


def samples(
    config: TrainConfig, epoch: int, examples: Sequence[Example], validation: Validation
) -> Iterator[SampleEvent]:
    """Yield `config.test_samples_per_epoch` photos, other ones each epoch.

    Args:
        config: The run's settings.
        epoch: The epoch, from 1.
        examples: The photos that were validated on.
        validation: What was generated for them; nothing is yielded if nothing was.
    """
    if not validation.captions:
        return
    seed = order.random_seed(config.seed, order.SAMPLES, epoch)
    picks = torch.randperm(len(examples), generator=torch.Generator().manual_seed(seed))
    for number in picks[: config.test_samples_per_epoch].tolist():
        example = examples[number]
        yield SampleEvent(
            epoch=epoch,
            image=example.image_id,
            caption=validation.captions[example.image_id],
            references=example.references,
            metrics=validation.per_image[example.image_id],
        )
