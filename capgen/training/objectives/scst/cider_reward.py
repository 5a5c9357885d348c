"""CIDEr-D of sampled captions on the device, in batches; equal to `capgen.metrics.cider`.

Captions are rows of word numbers. An n-gram is a 64-bit hash of its words; among a million
n-grams two share a hash with a probability of 3e-8. The references' n-grams are counted once,
in sorted tables; scoring looks up the samples' n-grams in them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from capgen.metrics.corpus import LONGEST_NGRAM
from capgen.training.data.transfer import to_device
from capgen.training.objectives.scst.token_words import padded

_SIGMA = 6.0  # as in capgen.metrics.cider
# Odd constants of SplitMix64 (Steele et al., 2014), as signed numbers.
_STEP = 0x9E3779B97F4A7C15 - (1 << 64)
_MIX = (0xBF58476D1CE4E5B9 - (1 << 64), 0x94D049BB133111EB - (1 << 64))
# Key of places without an n-gram.
_NONE = -1


class NgramTable(NamedTuple):
    """The n-grams of one size in all references.

    Attributes:
        keys: The distinct n-grams, ascending, int64 (kinds,).
        weights: Inverse document frequency of each, as a logarithm, float64 (kinds,).
        pairs: Reference times `kinds` plus n-gram, ascending, int64 (pairs,).
        counts: Count of the n-gram in that reference, int64 (pairs,).
        norms: Length of each reference's vector, float64 (references,).
    """

    keys: Tensor
    weights: Tensor
    pairs: Tensor
    counts: Tensor
    norms: Tensor


class CiderReward:
    """CIDEr-D of captions of a data set's images, by its own document frequencies.

    Args:
        references: The human captions of each image, as word numbers (see `Words`).
        device: Where to compute; a device without float64 (MPS) leaves it to the CPU.
    """

    def __init__(self, references: Sequence[Sequence[Sequence[int]]], device: torch.device) -> None:
        self.device = torch.device("cpu") if device.type == "mps" else device
        counts = np.array([len(captions) for captions in references])
        self.unseen = math.log(len(references))
        flat = [words for captions in references for words in captions]
        words = padded(flat, max(1, *(len(words) for words in flat))).to(self.device)
        self.pairs_of_words = _pairs_of_words(words)
        self.places = _places(counts).to(self.device)
        image = torch.from_numpy(np.repeat(np.arange(len(counts)), counts)).to(self.device)
        self.tables = [self._table(words, size, image) for size in range(1, LONGEST_NGRAM + 1)]

    def __call__(self, images: Tensor, captions: Tensor) -> Tensor:
        """Return the scores, float64 (B, S), between 0 and 10.

        Args:
            images: Numbers of the images, int64 (B,).
            captions: Word numbers, int64 (B, S, W), padded with `NO_WORD`.
        """
        captions = captions.to(self.device)
        places = self.places[to_device(images, self.device)]  # (B, R)
        given = places >= 0
        places = places.clamp(min=0)
        cosine = torch.zeros(
            (*captions.shape[:2], places.shape[1]), dtype=torch.float64, device=self.device
        )
        for size, table in enumerate(self.tables, 1):
            cosine += self._cosine(table, *ngram_keys(captions, size), places)
        own, theirs = _pairs_of_words(captions), self.pairs_of_words[places]
        difference = (own[:, :, None] - theirs[:, None, :]).double()
        cosine *= torch.exp(-(difference**2) / (2 * _SIGMA**2)) * given[:, None, :]
        return 10 * cosine.sum(-1) / LONGEST_NGRAM / given.sum(-1)[:, None]

    def _cosine(self, table: NgramTable, keys: Tensor, real: Tensor, places: Tensor) -> Tensor:
        """Return the clipped cosines of n-grams of one size, (B, S, R).

        The captions' n-grams are `keys` where `real`, both (B, S, P); `places`, (B, R), are the
        images' references.
        """
        own = (keys[..., :, None] == keys[..., None, :]).sum(-1)
        kind, known = _find(table.keys, keys)
        weights = torch.where(known, table.weights[kind], self.unseen)
        # The sum over distinct n-grams is one over places, each divided by its n-gram's count.
        square = weights**2 * real / own
        wanted = places[:, None, :, None] * len(table.keys) + kind[:, :, None, :]  # (B, S, R, P)
        pair, there = _find(table.pairs, wanted)
        other = table.counts[pair] * (there & (known & real)[:, :, None, :])
        clipped = torch.minimum(own[:, :, None, :], other) * other
        overlap = (clipped * square[:, :, None, :]).sum(-1)
        norms = (own**2 * square).sum(-1).sqrt()
        scale = norms[:, :, None] * table.norms[places][:, None, :]
        return torch.where(scale > 0, overlap / scale.where(scale > 0, 1.0), 0.0)

    def _table(self, words: Tensor, size: int, image: Tensor) -> NgramTable:
        """Count the n-grams of references, (references, W), of the images, (references,)."""
        keys, real = ngram_keys(words, size)
        reference = torch.arange(len(words), device=words.device)[:, None].expand_as(keys)[real]
        kinds, kind = torch.unique(keys[real], return_inverse=True)
        if len(kinds) == 0:  # no caption is that long: a table that nothing is found in
            kinds = keys.new_full((1,), _NONE)
        pairs, counts = torch.unique(reference * len(kinds) + kind, return_counts=True)
        reference, kind = pairs // len(kinds), pairs % len(kinds)
        seen = torch.unique(image[reference] * len(kinds) + kind) % len(kinds)
        frequencies = torch.bincount(seen, minlength=len(kinds)).clamp(min=1)
        weights = self.unseen - frequencies.double().log()
        norms = torch.zeros(len(words), dtype=torch.float64, device=words.device)
        norms.index_add_(0, reference, (counts * weights[kind]) ** 2)
        if len(pairs) == 0:
            pairs, counts = pairs.new_full((1,), _NONE), counts.new_zeros(1)
        return NgramTable(kinds, weights, pairs, counts, norms.sqrt())


def _find(table: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Return the places of numbers in an ascending table, and whether they are there."""
    place = torch.searchsorted(table, wanted).clamp(max=len(table) - 1)
    return place, table[place] == wanted


def _pairs_of_words(words: Tensor) -> Tensor:
    """Return the number of word pairs of captions: the scorer's measure of length."""
    return ((words >= 0).sum(-1) - 1).clamp(min=0)


def ngram_keys(words: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Hash the n-grams that start at each word.

    Args:
        words: Word numbers, int (…, W), padded with `NO_WORD`.
        size: Words per n-gram.

    Returns:
        Keys, int64 (…, P), and where there is an n-gram, bool (…, P).
    """
    places = max(words.shape[-1] - size + 1, 0)
    if places == 0:
        empty = words.new_full((*words.shape[:-1], 1), _NONE, dtype=torch.int64)
        return empty, torch.zeros_like(empty, dtype=torch.bool)
    keys = torch.zeros((*words.shape[:-1], places), dtype=torch.int64, device=words.device)
    for offset in range(size):
        keys = _mixed(keys * 3 + words[..., offset : offset + places].long() + 1)
    real = words[..., size - 1 :] >= 0
    return keys.masked_fill(~real, _NONE), real


def _mixed(keys: Tensor) -> Tensor:
    """Return well mixed 64-bit numbers (SplitMix64); products wrap around."""
    keys = keys + _STEP
    for shift, factor in zip((30, 27), _MIX, strict=True):
        keys = (keys ^ _shifted(keys, shift)) * factor
    return keys ^ _shifted(keys, 31)


def _shifted(keys: Tensor, shift: int) -> Tensor:
    """Shift right without the sign."""
    return (keys >> shift) & ((1 << (64 - shift)) - 1)


def _places(counts: np.ndarray) -> Tensor:  # type: ignore[type-arg]
    """Return the places of each image's references, int64 (images, most); -1 fills up."""
    starts = np.cumsum(counts) - counts
    offsets = np.arange(counts.max())
    places = np.where(offsets < counts[:, None], starts[:, None] + offsets, -1)
    return torch.from_numpy(places)
