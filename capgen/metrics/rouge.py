"""ROUGE-L, as the official COCO caption scorer and as Google's `rouge-score` compute it.

Lin, "ROUGE: a package for automatic evaluation of summaries" (2004). The two differ in tokens
(PTB or runs of ASCII letters and digits), in the handling of several references (the best
precision and the best recall, or the best F), and in the weight of recall (β = 1.2 or 1), so
each is reported under its own name.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from capgen.metrics.corpus import Corpus, Floats

NAME = "ROUGE-L"
GOOGLE_NAME = "ROUGE-L F1 (rouge-score)"

_BETA_SQUARED = 1.2**2


def rouge_l(corpus: Corpus) -> Floats:
    """Return the official (images,) ROUGE-L scores."""
    scores = np.zeros(len(corpus))
    groups = corpus.by_image(corpus.reference_tokens)
    pairs = zip(corpus.prediction_tokens, groups, strict=True)
    for image, (prediction, references) in enumerate(pairs):
        # Split at single spaces, like the official scorer: a caption without words has the
        # one word "", and matches a reference without words.
        words = prediction.split(" ")
        others = [line.split(" ") for line in references]
        common = common_lengths(words, others)
        if any(common):
            precision = max(common) / len(words)
            recall = max(length / len(other) for length, other in zip(common, others, strict=True))
            scores[image] = (
                (1 + _BETA_SQUARED) * precision * recall / (recall + _BETA_SQUARED * precision)
            )
    return scores


def rouge_l_google(corpus: Corpus) -> Floats:
    """Return the (images,) ROUGE-L F1 scores of `rouge-score`, without its stemmer.

    The score of an image is the best over its references, as in `RougeScorer.score_multi`.
    """
    from rouge_score.tokenize import tokenize

    scores = np.zeros(len(corpus))
    pairs = zip(corpus.predictions, corpus.references, strict=True)
    for image, (prediction, references) in enumerate(pairs):
        words = tokenize(prediction, None)
        others = [tokenize(reference, None) for reference in references]
        common = common_lengths(words, others)
        # 2PR / (P + R) with P = c / m and R = c / n is 2c / (m + n).
        scores[image] = max(
            2 * length / (len(words) + len(other)) if length else 0.0
            for length, other in zip(common, others, strict=True)
        )
    return scores


def common_lengths(words: Sequence[str], others: Sequence[Sequence[str]]) -> list[int]:
    """Return the lengths of the longest common subsequences of `words` and each of `others`.

    Hyyrö, "Bit-parallel LCS-length computation revisited" (2004): the bits of an integer stand
    for a row of the dynamic-programming table.
    """
    positions: dict[str, int] = {}
    for index, word in enumerate(words):
        positions[word] = positions.get(word, 0) | 1 << index
    full = (1 << len(words)) - 1
    lengths = []
    for other in others:
        row = full
        for word in other:
            if word in positions:
                matched = row & positions[word]
                row = (row + matched | row - matched) & full
        lengths.append(len(words) - row.bit_count())
    return lengths
