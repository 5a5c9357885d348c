"""METEOR as `nltk.translate.meteor_score` computes it, with PTB tokens.

Lavie and Agarwal, "METEOR: an automatic metric for MT evaluation with high levels of
correlation with human judgments" (2007): words are aligned by form, then by Porter stem,
then by WordNet synonyms of the stems; long runs of aligned words score higher. The scores are
not comparable with those of METEOR 1.5, which the COCO server uses (see `meteor_1_5`).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np

from capgen.metrics.corpus import Corpus, Floats
from capgen.metrics.synonyms import Synonyms, wordnet

NAME = "METEOR"

_ALPHA, _BETA, _GAMMA = 0.9, 3.0, 0.5
# Words with their indices in the sentence.
_Words = list[tuple[int, str]]


def meteor(corpus: Corpus) -> Floats:
    """Return the (images,) METEOR scores, each the best over its references."""
    scorer = MeteorScorer()
    images = len(corpus)
    groups = corpus.by_image(corpus.words[images:])
    pairs = zip(corpus.words[:images], groups, strict=True)
    return np.array([max(scorer.score(words, other) for other in group) for words, group in pairs])


class MeteorScorer:
    """Scores captions; by default with NLTK's Porter stemmer and the synonyms of WordNet 3.0."""

    def __init__(
        self, stem: Callable[[str], str] | None = None, synonyms: Synonyms | None = None
    ) -> None:
        self._stem = _porter() if stem is None else stem
        self._synonyms = wordnet() if synonyms is None else synonyms
        self._stems: dict[str, str] = {}

    def score(self, words: Sequence[str], reference: Sequence[str]) -> float:
        """Return the METEOR score, between 0 and 1, of lower-case words."""
        pairs = self.align(words, reference)
        if not pairs:
            return 0.0
        precision, recall = len(pairs) / len(words), len(pairs) / len(reference)
        mean = (precision * recall) / (_ALPHA * precision + (1 - _ALPHA) * recall)
        following = itertools.pairwise(pairs)
        chunks = 1 + sum(b[0] != a[0] + 1 or b[1] != a[1] + 1 for a, b in following)
        penalty = _GAMMA * (chunks / len(pairs)) ** _BETA
        return float((1 - penalty) * mean)

    def align(self, words: Sequence[str], reference: Sequence[str]) -> list[tuple[int, int]]:
        """Align words with words of the reference.

        Every stage goes through the words from the last to the first, and takes the last
        matching word of the reference that is still free.

        Returns:
            Pairs of indices, ascending in the first.
        """
        pairs, left, free = _match(list(enumerate(words)), list(enumerate(reference)))
        if left and free:
            more, left, free = _match(self._stemmed(left), self._stemmed(free))
            pairs += more
            pairs += self._match_synonyms(left, free)
        return sorted(pairs)

    def _match_synonyms(self, left: _Words, free: _Words) -> list[tuple[int, int]]:
        pairs = []
        for index, stem in reversed(left):
            synonyms = self._synonyms.of(stem)
            for position in range(len(free) - 1, -1, -1):
                if free[position][1] in synonyms:
                    pairs.append((index, free.pop(position)[0]))
                    break
        return pairs

    def _stemmed(self, words: _Words) -> _Words:
        stems = self._stems
        for _, word in words:
            if word not in stems:
                stems[word] = self._stem(word)
        return [(index, stems[word]) for index, word in words]


def _match(left: _Words, free: _Words) -> tuple[list[tuple[int, int]], _Words, _Words]:
    """Return the pairs of equal words, and the unmatched words of either side."""
    positions: dict[str, list[int]] = {}
    for position, (_, word) in enumerate(free):
        positions.setdefault(word, []).append(position)
    pairs, unmatched, taken = [], [], set()
    for index, word in reversed(left):
        if positions.get(word):
            position = positions[word].pop()
            taken.add(position)
            pairs.append((index, free[position][0]))
        else:
            unmatched.append((index, word))
    unmatched.reverse()
    return pairs, unmatched, [item for position, item in enumerate(free) if position not in taken]


def _porter() -> Callable[[str], str]:
    # NLTK is slow to import, and only METEOR needs it.
    from nltk.stem.porter import PorterStemmer

    stem: Callable[[str], str] = PorterStemmer().stem
    return stem
