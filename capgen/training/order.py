"""Which photos and captions make each step: decided by the seed and the step alone.

So a resumed run, or one in several processes, sees the same data in the same order.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from capgen.training.captions import Ids

# Streams of random numbers: nothing random in training depends on anything else.
ORDER, CAPTIONS, AUGMENTATION, DROPOUT, SAMPLES, SELF_CRITICAL = range(6)


def random_seed(seed: int, stream: int, *place: int) -> int:
    """Return a seed for one stream of random numbers at one place (epoch or step, rank)."""
    words = np.random.SeedSequence((seed, stream, *place)).generate_state(1, np.uint64)
    return int(words[0] >> 1)  # torch takes 63 bits


def epoch_order(photos: int, seed: int, epoch: int) -> Tensor:
    """Return the photo numbers in the order of an epoch, int64 (photos,)."""
    generator = torch.Generator().manual_seed(random_seed(seed, ORDER, epoch))
    return torch.randperm(photos, generator=generator)


def choose_captions(
    rows: Sequence[Sequence[Ids]], numbers: Tensor, most: int, seed: int, step: int
) -> list[Sequence[Ids]]:
    """Return the captions of some photos; of photos with more than `most` a random choice."""
    chosen = [rows[number] for number in numbers.tolist()]
    if all(len(row) <= most for row in chosen):
        return chosen
    generator = torch.Generator().manual_seed(random_seed(seed, CAPTIONS, step))
    return [
        row
        if len(row) <= most
        else [row[pick] for pick in torch.randperm(len(row), generator=generator)[:most].tolist()]
        for row in chosen
    ]
