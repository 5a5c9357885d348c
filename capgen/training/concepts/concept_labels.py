"""What the concept head learns: the concepts that the captions of each training image say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from capgen.training.concepts.concept_words import ConceptWords

# A concept that an image's captions do not say may be there all the same, the more so the fewer
# they are: the weight of an image is a + b · captions, at most 1.
_WEIGHT_WITHOUT, _WEIGHT_PER_CAPTION = 0.4, 0.15

Split = Callable[[str], Sequence[str]]


@dataclass(frozen=True)
class ConceptLabels:
    """The concepts of training images.

    Attributes:
        said: For each image the numbers of the concepts that its captions say, int64.
        weights: float32 (N,), how much each image counts.
        count: Concepts.
    """

    said: Sequence[NDArray[np.int64]]
    weights: Tensor
    count: int

    @classmethod
    def of(
        cls, groups: Iterable[Sequence[str]], words: ConceptWords, split: Split, count: int
    ) -> ConceptLabels:
        """Find the concepts in the captions of each image.

        Args:
            groups: The captions of each image.
            words: Finds concepts.
            split: Returns the words of a caption.
            count: How many concepts there are.
        """
        said, weights = [], []
        for captions in groups:
            found = set[int]().union(*(words.of_caption(split(text)) for text in captions))
            said.append(np.array(sorted(found), np.int64))
            weights.append(min(1.0, _WEIGHT_WITHOUT + _WEIGHT_PER_CAPTION * len(captions)))
        return cls(said, torch.tensor(weights), count)

    @cached_property
    def learned(self) -> Tensor:
        """1 for concepts that the captions of any image say, otherwise 0; float32 (C,)."""
        return torch.from_numpy((self.shares() > 0).astype(np.float32))

    def shares(self) -> NDArray[np.float64]:
        """Return the share of the images whose captions say each concept, (C,)."""
        numbers = np.concatenate(self.said) if self.said else np.empty(0, np.int64)
        counts: NDArray[np.float64] = np.bincount(numbers, minlength=self.count).astype(np.float64)
        return counts / max(len(self.said), 1)

    def batch(self, images: Tensor) -> Tensor:
        """Return the labels of the images `images`, (B, C) float32 of 0 and 1."""
        labels = torch.zeros(len(images), self.count)
        for row, image in zip(labels, images.tolist(), strict=True):
            row[torch.from_numpy(self.said[image])] = 1
        return labels
