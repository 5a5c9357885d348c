"""METEOR 1.5 of captions: each by the reference that it agrees with best."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from capgen.metrics.corpus import Corpus, Integers
from capgen.metrics.meteor_1_5.align import align
from capgen.metrics.meteor_1_5.matches import Sentence, Sentences
from capgen.metrics.meteor_1_5.normalize import Normalizer
from capgen.metrics.meteor_1_5.paraphrases import open_paraphrases
from capgen.metrics.meteor_1_5.resources import word_lists
from capgen.metrics.meteor_1_5.statistics import CHUNKS, COUNTS, scores

_BAR = "|||"
_LINES = re.compile("[\n\r]")


def meteor_statistics(corpus: Corpus) -> Integers:
    """Return the (images, 23) counts of the corpus: see `capgen.metrics.meteor_1_5.statistics`.

    Raises:
        MissingDependencyError: pycocoevalcap is not installed.
        MetricError: Its files are damaged.
        StorageError: The cache of paraphrases cannot be written.
    """
    return statistics_of(corpus.prediction_tokens, corpus.by_image(corpus.reference_tokens))


def statistics_of(captions: Sequence[str], references: Sequence[Sequence[str]]) -> Integers:
    """Return the (captions, 23) counts of captions by their best references.

    As pycocoevalcap does, `|||` is taken out of captions; in references it separates two.
    """
    lists = word_lists()
    normalizer = Normalizer(lists)
    numbers: dict[str, int] = {}
    pairs = []
    for caption, group in zip(captions, references, strict=True):
        caption = _LINES.sub(" ", caption).replace(_BAR, "").replace("  ", " ")
        texts = [text for line in group for text in _LINES.sub(" ", line).split(_BAR)]
        pairs.append(
            (
                numbers.setdefault(caption, len(numbers)),
                [numbers.setdefault(text, len(numbers)) for text in texts],
            )
        )
    tokens = [normalizer.tokens(text) for text in numbers]
    sentences = Sentences(tokens, lists, open_paraphrases())
    rows, first = [], []
    for number, others in pairs:
        caption_sentence = sentences.all[number]
        first.append(len(rows))
        for other in others:
            rows.append(_counts(sentences, caption_sentence, sentences.all[other]))
    counts = np.array(rows, np.int64).reshape(-1, COUNTS)
    return counts[_best(scores(counts), first)]


def _best(values: np.ndarray, first: list[int]) -> list[int]:
    """Return the first of the best rows of each group; groups begin at `first`."""
    ends = [*first[1:], len(values)]
    return [start + int(values[start:end].argmax()) for start, end in zip(first, ends, strict=True)]


def _counts(sentences: Sentences, caption: Sentence, reference: Sentence) -> list[int]:
    row = [0] * COUNTS
    row[:4] = len(caption.words), len(reference.words), caption.functions, reference.functions
    options = sentences.matches(caption, reference)
    if not any(options):
        return row
    matches, row[CHUNKS] = align(options, len(caption.words))
    is_function = sentences.vocabulary.is_function
    for start, size, place, length, matcher in matches:
        column = 4 + 4 * matcher
        for word in caption.words[place : place + length]:
            row[column + 2 * is_function[word]] += 1
        for word in reference.words[start : start + size]:
            row[column + 1 + 2 * is_function[word]] += 1
        row[21] += length
        row[22] += size
    return row
