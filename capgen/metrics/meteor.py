"""METEOR as `nltk.translate.meteor_score` computes it, with PTB tokens.

Lavie and Agarwal, "METEOR: an automatic metric for MT evaluation with high levels of
correlation with human judgments" (2007): words are aligned by form, then by Porter stem,
then by WordNet synonyms of the stems, and long runs of aligned words count for more. It is
not METEOR 1.5, which the COCO server uses (see `official`): their numbers cannot be compared.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np

from capgen.metrics.corpus import Corpus, Floats
from capgen.metrics.synonyms import Synonyms, wordnet

NAME = "METEOR"

_ALPHA, _BETA, _GAMMA = 0.9, 3.0, 0.5


def meteor(corpus: Corpus) -> Floats:
    """Return the (images,) METEOR scores, the best over the references of each.

    A corpus has their mean.
    """
    scorer = MeteorScorer()
    images = len(corpus)
    references = corpus.words[images:]
    ends = [*corpus.first_reference[1:], len(references)]
    return np.array(
        [
            max(scorer.score(words, reference) for reference in references[start:end])
            for words, start, end in zip(
                corpus.words[:images], corpus.first_reference, ends, strict=True
            )
        ]
    )


class MeteorScorer:
    """Scores captions against references; remembers stems and synonyms.

    Args:
        stem: Gives the stem of a word; NLTK's Porter stemmer if left out.
        synonyms: Where synonyms are looked up; WordNet 3.0 if left out.
    """

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
        """Return which word goes with which word of the reference.

        Every stage goes through the words from the last to the first, and takes the last
        word of the reference that is still free.

        Returns:
            Pairs of indices, ascending in the first.
        """
        pairs, left, free = _match(list(enumerate(words)), list(enumerate(reference)))
        if left and free:
            more, left, free = _match(self._stemmed(left), self._stemmed(free))
            pairs += more
            pairs += self._match_synonyms(left, free)
        return sorted(pairs)

    def _match_synonyms(
        self, left: list[tuple[int, str]], free: list[tuple[int, str]]
    ) -> list[tuple[int, int]]:
        pairs = []
        for index, stem in reversed(left):
            synonyms = self._synonyms.of(stem)
            for place in range(len(free) - 1, -1, -1):
                if free[place][1] in synonyms:
                    pairs.append((index, free.pop(place)[0]))
                    break
        return pairs

    def _stemmed(self, words: list[tuple[int, str]]) -> list[tuple[int, str]]:
        stems = self._stems
        for _, word in words:
            if word not in stems:
                stems[word] = self._stem(word)
        return [(index, stems[word]) for index, word in words]


def _match(
    left: list[tuple[int, str]], free: list[tuple[int, str]]
) -> tuple[list[tuple[int, int]], list[tuple[int, str]], list[tuple[int, str]]]:
    """Pair equal words.

    Returns:
        The pairs, and what is left of either side.
    """
    places: dict[str, list[int]] = {}
    for place, (_, word) in enumerate(free):
        places.setdefault(word, []).append(place)
    pairs, unmatched, taken = [], [], set()
    for index, word in reversed(left):
        spots = places.get(word)
        if spots:
            place = spots.pop()
            taken.add(place)
            pairs.append((index, free[place][0]))
        else:
            unmatched.append((index, word))
    unmatched.reverse()
    return pairs, unmatched, [item for place, item in enumerate(free) if place not in taken]


def _porter() -> Callable[[str], str]:
    # NLTK takes a while to import, and most metrics do without it.
    from nltk.stem.porter import PorterStemmer

    stem: Callable[[str], str] = PorterStemmer().stem
    return stem
