"""BLEU-1 to BLEU-4 as the official COCO caption scorer computes them.

Papineni et al., "BLEU: a method for automatic evaluation of machine translation" (ACL
2002), with the choices of pycocoevalcap: the reference length closest to the prediction's
(the shorter one of two equally close), and two small constants in place of smoothing.
"""

from __future__ import annotations

import numpy as np

from capgen.metrics.corpus import LONGEST_NGRAM, Corpus, Floats, Integers

NAMES = tuple(f"BLEU-{size}" for size in range(1, LONGEST_NGRAM + 1))

# The official scorer's constants: without a guess or a match the score is almost zero.
_SMALL = 1e-9
_TINY = 1e-15


def bleu_statistics(corpus: Corpus) -> Integers:
    """Return BLEU's statistics of each image.

    Returns:
        (images, 10) integers: four clipped counts of the prediction's n-grams that occur in a
        reference, four counts of its n-grams, its length, the length of the closest reference.
    """
    images = len(corpus)
    matches = np.empty((images, LONGEST_NGRAM), np.int64)
    for column, table in enumerate(corpus.ngrams):
        rows, pairs = find(table.pair_key, table.key[: table.predicted])
        clipped = np.minimum(table.count[rows], table.pair_most[pairs])
        matches[:, column] = np.bincount(table.caption[rows], weights=clipped, minlength=images)
    length = corpus.lengths[:images]
    sizes = np.arange(1, LONGEST_NGRAM + 1)
    guesses = np.maximum(length[:, None] - sizes + 1, 0)
    return np.column_stack([matches, guesses, length, closest_lengths(corpus)])


def closest_lengths(corpus: Corpus) -> Integers:
    """Return the (images,) lengths of the references closest in length to the predictions."""
    images = len(corpus)
    length = corpus.lengths[images:]
    distance = np.abs(length - corpus.lengths[:images][corpus.reference_image])
    base = length.max() + 1
    nearest = np.minimum.reduceat(distance * base + length, corpus.first_reference)
    closest: Integers = nearest % base
    return closest


def bleu_scores(statistics: Floats | Integers) -> Floats:
    """Return the (…, 4) scores BLEU-1 to BLEU-4 of (…, 10) statistics (see `bleu_statistics`).

    The BLEU of a corpus is that of the summed statistics.
    """
    statistics = np.asarray(statistics, np.float64)
    matches, guesses = statistics[..., :LONGEST_NGRAM], statistics[..., LONGEST_NGRAM:-2]
    predicted, wanted = statistics[..., -2], statistics[..., -1]
    precision = np.cumprod((matches + _TINY) / (guesses + _SMALL), axis=-1)
    scores = precision ** (1 / np.arange(1, LONGEST_NGRAM + 1))
    ratio = (predicted + _TINY) / (wanted + _SMALL)
    brevity: Floats = np.exp(np.minimum(1 - 1 / ratio, 0))
    return scores * brevity[..., None]


def without_constants(scores: Floats, statistics: Floats | Integers) -> Floats:
    """Return (…, 4) scores of (…, 10) statistics, with 0 where no n-gram of that size matches.

    What the official scorer's constants leave there says nothing of the captions.
    """
    matches = np.asarray(statistics)[..., :LONGEST_NGRAM]
    plain: Floats = np.where(matches > 0, scores, 0.0)
    return plain


def find(haystack: Integers, needles: Integers) -> tuple[Integers, Integers]:
    """Return the indices of needles that are in a sorted haystack, and their indices there."""
    place = np.searchsorted(haystack, needles)
    place[place == len(haystack)] = 0
    found = np.flatnonzero(haystack[place] == needles) if len(haystack) else place[:0]
    return found, place[found]
