"""METEOR 1.5 of captions: each by the reference that it agrees with best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from capgen.garbage_collector import paused_collector
from capgen.metrics.corpus import Corpus, Floats, Integers
from capgen.metrics.meteor_1_5.align import align
from capgen.metrics.meteor_1_5.matches import Match, Sentence, Sentences
from capgen.metrics.meteor_1_5.normalize import Normalizer
from capgen.metrics.meteor_1_5.paraphrases import Paraphrases, open_paraphrases
from capgen.metrics.meteor_1_5.resources import word_lists
from capgen.metrics.meteor_1_5.statistics import CHUNKS, COUNTS, scores
from capgen.metrics.meteor_1_5.words import Vocabulary

_BAR = "|||"
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
    scorer = _Scorer(Normalizer(lists), Vocabulary(lists), open_paraphrases())
    with paused_collector():
        parts = [
            scorer.statistics(
                captions[start : start + _AT_ONCE], references[start : start + _AT_ONCE]
            )
            for start in range(0, len(captions), _AT_ONCE)
        ]
    return np.concatenate(parts) if parts else np.zeros((0, COUNTS), np.int64)


@dataclass(frozen=True)
class _Scorer:
    normalizer: Normalizer
    vocabulary: Vocabulary
    paraphrases: Paraphrases

    def statistics(self, captions: Sequence[str], references: Sequence[Sequence[str]]) -> Integers:
        numbers: dict[str, int] = {}
        pairs = []
        for caption, group in zip(captions, references, strict=True):
            caption = _one_line(caption).replace(_BAR, "").replace("  ", " ")
            texts = [text for line in group for text in _one_line(line).split(_BAR)]
            number = numbers.setdefault(caption, len(numbers))
            pairs.append((number, [numbers.setdefault(text, len(numbers)) for text in texts]))
        tokens = [self.normalizer.tokens(text) for text in numbers]
        sentences = Sentences(tokens, self.vocabulary, self.paraphrases)
        is_function = self.vocabulary.is_function
        rows: list[list[int]] = []
        first = []
        for number, others in pairs:
            first.append(len(rows))
            caption_words = sentences.all[number]
            for other in others:
                reference = sentences.all[other]
                options = sentences.matches(caption_words, reference)
                rows.append(_counts(caption_words, reference, options, is_function))
        counts = np.array(rows, np.int64)
        return counts[_best(scores(counts), first)]


def _one_line(text: str) -> str:
    return text.replace("\n", " ").replace("\r", " ")


def _best(values: Floats, first: list[int]) -> list[int]:
    """Return the first of the best rows of each group; groups begin at `first`."""
    ends = [*first[1:], len(values)]
    return [start + int(values[start:end].argmax()) for start, end in zip(first, ends, strict=True)]


def _counts(
    caption: Sentence,
    reference: Sentence,
    options: Sequence[Sequence[Match]],
    is_function: Sequence[bool],
) -> list[int]:
    row = [0] * COUNTS
    row[:4] = len(caption.words), len(reference.words), caption.functions, reference.functions
    matches, row[CHUNKS] = align(options, len(caption.words))
    for start, (size, place, length, matcher) in matches:
        column = 4 + 4 * matcher
        for word in caption.words[place : place + length]:
            row[column + 2 * is_function[word]] += 1
        for word in reference.words[start : start + size]:
            row[column + 1 + 2 * is_function[word]] += 1
        row[21] += length
        row[22] += size
    return row
