"""How many captions say which words and pairs of words, and which forms a noun has."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from capgen.captioning.decoding.noun_lexicon import is_noun
from capgen.metrics.synonyms import wordnet

# A plural this many times as frequent as its singular stands for both: "jeans", "sunglasses".
_PLURAL_ONLY = 10


class NounCounts:
    """Counts of captions by the words, and pairs of neighbouring words, that they say.

    Args:
        captions: The words of each caption.
    """

    def __init__(self, captions: Iterable[Sequence[str]]) -> None:
        self._captions: Counter[str] = Counter()
        for words in captions:
            self._captions.update({*words, *pairs(words)})
        self._plurals: defaultdict[str, list[str]] = defaultdict(list)
        for word in self._captions:
            if " " not in word:
                for base in wordnet().noun_bases(word):
                    self._plurals[base].append(word)

    def words(self) -> list[str]:
        """Return all single words, the most frequent first."""
        words = (word for word in self._captions if " " not in word)
        return sorted(words, key=lambda word: (-self._captions[word], word))

    def count(self, noun: str) -> int:
        """Return how many captions say a noun of one or two words, in any of its forms."""
        return sum(self._captions[form] for form in self._forms(noun))

    def base(self, word: str) -> str:
        """Return the singular of a noun, if captions say it; otherwise the word itself."""
        known = (base for base in wordnet().noun_bases(word) if base in self._captions)
        return next(filter(is_noun, known), word)

    def usual_form(self, noun: str) -> str:
        """Return a noun, or its plural if captions hardly say it otherwise."""
        first, *others = self._forms(noun)
        plural = max(others, key=lambda form: self._captions[form], default=first)
        rare = self._captions[first] * _PLURAL_ONLY < self._captions[plural]
        return plural if rare else first

    def _forms(self, noun: str) -> list[str]:
        start, space, last = noun.rpartition(" ")
        return [noun, *(start + space + plural for plural in self._plurals[last] if plural != last)]


def pairs(words: Sequence[str]) -> list[str]:
    """Return the pairs of neighbouring words."""
    return [f"{first} {second}" for first, second in itertools.pairwise(words)]
