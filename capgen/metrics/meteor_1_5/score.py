"""METEOR 1.5 of captions: each by the reference that it agrees with best."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from capgen.metrics.corpus import Corpus, Floats, Integers
from capgen.metrics.meteor_1_5.align import align
from capgen.metrics.meteor_1_5.matches import Sentence, Sentences
from capgen.metrics.meteor_1_5.normalize import Normalizer
from capgen.metrics.meteor_1_5.paraphrases import Paraphrases, open_paraphrases
from capgen.metrics.meteor_1_5.resources import word_lists
from capgen.metrics.meteor_1_5.statistics import CHUNKS, COUNTS, scores
from capgen.metrics.meteor_1_5.words import KnownWords

_BAR = "|||"
_LINES = re.compile("[\n\r]")
# Captions looked up together; limits memory, and what each phrase is compared with.
_AT_ONCE = 250


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
    scorer = _Scorer(Normalizer(lists), KnownWords(lists), open_paraphrases())
    parts = [
        scorer.statistics(captions[start : start + _AT_ONCE], references[start : start + _AT_ONCE])
        for start in range(0, len(captions), _AT_ONCE)
    ]
    return np.concatenate(parts) if parts else np.zeros((0, COUNTS), np.int64)


@dataclass(frozen=True)
class _Scorer:
    normalizer: Normalizer
    known: KnownWords
    paraphrases: Paraphrases

    def statistics(self, captions: Sequence[str], references: Sequence[Sequence[str]]) -> Integers:
        numbers: dict[str, int] = {}
        pairs = []
        for caption, group in zip(captions, references, strict=True):
            caption = _LINES.sub(" ", caption).replace(_BAR, "").replace("  ", " ")
            texts = [text for line in group for text in _LINES.sub(" ", line).split(_BAR)]
            number = numbers.setdefault(caption, len(numbers))
            pairs.append((number, [numbers.setdefault(text, len(numbers)) for text in texts]))
        tokens = [self.normalizer.tokens(text) for text in numbers]
        sentences = Sentences(tokens, self.known, self.paraphrases)
        rows: list[list[int]] = []
        first = []
        for number, others in pairs:
            first.append(len(rows))
            caption_words = sentences.all[number]
            rows += [_counts(sentences, caption_words, sentences.all[other]) for other in others]
        counts = np.array(rows, np.int64)
        return counts[_best(scores(counts), first)]


def _best(values: Floats, first: list[int]) -> list[int]:
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
