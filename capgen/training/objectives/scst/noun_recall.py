"""Recall of an image's nouns: how much of what people name in it a caption names.

CIDEr-D rewards what is safe to say of many images. Recall of nouns also pays for the ones that few
images have, so that training on rewards does not unlearn them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor

from capgen.captioning.decoding.noun_lexicon import noun_of
from capgen.metrics.people import PEOPLE
from capgen.training.data.transfer import to_device
from capgen.training.objectives.scst.token_words import Words, padded

# References differ in what they call people ("man", "guy", "player"), so each such word counts
# less.
PEOPLE_WEIGHT = 0.3
_NO_NOUN = 0


class NounRecall:
    """Recall of each image's nouns by captions; all forms of a noun are the same.

    A noun weighs as much as the share of the image's references that say it, those of `PEOPLE`
    `PEOPLE_WEIGHT` times that.

    Args:
        references: The human captions of each image, as word numbers.
        words: What numbered them; words that it numbers later are looked up when they come.
        device: Where to compute; a device without float64 (MPS) leaves it to the CPU.
    """

    def __init__(
        self, references: Sequence[Sequence[Sequence[int]]], words: Words, device: torch.device
    ) -> None:
        self.device = torch.device("cpu") if device.type == "mps" else device
        self.words = words
        self._numbers: dict[str, int] = {}
        self._nouns = self._noun_of_words()
        nouns = self._nouns.tolist()
        names = ["", *self._numbers]
        weights = [
            _weights([{nouns[word] for word in caption} for caption in captions], names)
            for captions in references
        ]
        width = max(1, *map(len, weights))
        self._wanted = padded([list(own) for own in weights], width).to(self.device)
        self._weights = torch.zeros(self._wanted.shape, dtype=torch.float64)
        for row, own in zip(self._weights, weights, strict=True):
            row[: len(own)] = torch.tensor([*own.values()], dtype=torch.float64)
        self._weights = self._weights.to(self.device)

    def __call__(self, images: Tensor, captions: Tensor) -> Tensor:
        """Return the recall, float64 (B, S), between 0 and 1; 0 for images without nouns.

        Args:
            images: Numbers of the images, int64 (B,).
            captions: Word numbers, int64 (B, S, W), padded with `NO_WORD`.
        """
        captions, images = captions.to(self.device), to_device(images, self.device)
        if len(self._nouns) < len(self.words):
            self._nouns = self._noun_of_words()
        nouns = self._nouns[captions.clamp(min=0)].masked_fill(captions < 0, _NO_NOUN)
        wanted, weights = self._wanted[images], self._weights[images]  # (B, K)
        said = (nouns[..., None] == wanted[:, None, None, :]).any(2)  # (B, S, K)
        total = weights.sum(-1, keepdim=True)
        return (said * weights[:, None]).sum(-1) / total.where(total > 0, 1.0)

    def _noun_of_words(self) -> Tensor:
        """Return the number of each word's noun, int64 (words,); `_NO_NOUN` if it is not one."""
        nouns = [_NO_NOUN]  # of the end
        for word in self.words.texts():
            noun = noun_of(word)
            number = _NO_NOUN if noun is None else len(self._numbers) + 1
            nouns.append(number if noun is None else self._numbers.setdefault(noun, number))
        return torch.tensor(nouns).to(self.device)


def _weights(captions: Sequence[set[int]], names: Sequence[str]) -> dict[int, float]:
    """Return the weight of each noun of an image, given the nouns that each reference says."""
    counts = Counter(noun for said in captions for noun in said if noun != _NO_NOUN)
    return {
        noun: count / len(captions) * (PEOPLE_WEIGHT if names[noun] in PEOPLE else 1)
        for noun, count in counts.items()
    }
