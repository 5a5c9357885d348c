"""Which images and captions make up each step: decided by the seed and the step alone.

So a resumed run, or a run in several processes, sees the same data in the same order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, islice

import numpy as np
import torch
from torch import Tensor

from capgen.training.data.packed_captions import Ids

# Streams of random numbers: nothing random in training depends on anything else.
ORDER, CAPTIONS, AUGMENTATION, DROPOUT, SAMPLES, SELF_CRITICAL, TEXT = range(7)


def random_seed(seed: int, stream: int, *place: int) -> int:
    """Return a seed for one stream of random numbers at one place (epoch or step, rank)."""
    words = np.random.SeedSequence((seed, stream, *place)).generate_state(1, np.uint64)
    return int(words[0] >> 1)  # torch takes 63 bits


@dataclass(frozen=True)
class Mix:
    """How often the images of each data set come in an epoch.

    Attributes:
        parts: (images, weight) of each data set, in the order of the image numbers; of each
            group of a data set's images that have a weight of their own, several in a row.
        sets: How many of the parts each data set has, if any has several.
    """

    parts: tuple[tuple[int, float], ...]
    sets: tuple[int, ...] = ()

    @classmethod
    def of(cls, sets: Iterable[tuple[tuple[int, float], ...]]) -> Mix:
        """Return the mix of data sets, each given by its parts."""
        given = list(sets)
        return cls(tuple(chain.from_iterable(given)), tuple(map(len, given)))

    @property
    def drawn(self) -> tuple[int, ...]:
        """Images of each data set per epoch, repeats included; the same in all epochs."""
        parts = iter(self._drawn)
        return tuple(sum(islice(parts, count)) for count in self.sets or (1,) * len(self.parts))

    @property
    def _drawn(self) -> tuple[int, ...]:
        """Images of each part per epoch."""
        return tuple(max(1, round(images * weight)) for images, weight in self.parts)

    @property
    def images(self) -> int:
        """Images per epoch."""
        return sum(self.drawn)

    def order(self, seed: int, epoch: int) -> Tensor:
        """Return the image numbers in the order of an epoch, int64 (images,).

        With weight 2.25, each image of a data set comes twice, and a random quarter of them,
        a different one in each epoch, comes a third time.
        """
        generator = torch.Generator().manual_seed(random_seed(seed, ORDER, epoch))
        numbers, first = [], 0
        for (images, _), drawn in zip(self.parts, self._drawn, strict=True):
            whole, rest = divmod(drawn, images)
            own = torch.arange(images).repeat(whole)
            if rest:
                own = torch.cat([own, torch.randperm(images, generator=generator)[:rest]])
            numbers.append(own + first)
            first += images
        every = torch.cat(numbers)
        return every[torch.randperm(len(every), generator=generator)]

    def used(self, seed: int, epochs: int) -> Tensor:
        """Return which images come in any epoch from 1 to `epochs`, bool (all images,)."""
        seen = torch.zeros(sum(images for images, _ in self.parts), dtype=torch.bool)
        if all(drawn >= images for (images, _), drawn in zip(self.parts, self._drawn, strict=True)):
            return seen.logical_not()
        for epoch in range(1, epochs + 1):
            seen[self.order(seed, epoch)] = True
        return seen


def choose_captions(
    rows: Sequence[Sequence[Ids]], numbers: Tensor, limit: int, seed: int, step: int
) -> list[Sequence[Ids]]:
    """Return the captions of some images; a random choice if an image has more than `limit`."""
    chosen = [rows[number] for number in numbers.tolist()]
    if all(len(row) <= limit for row in chosen):
        return chosen
    generator = torch.Generator().manual_seed(random_seed(seed, CAPTIONS, step))
    return [
        row
        if len(row) <= limit
        else [row[pick] for pick in torch.randperm(len(row), generator=generator)[:limit].tolist()]
        for row in chosen
    ]
