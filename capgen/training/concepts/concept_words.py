"""Which concepts a caption says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from capgen.captioning.decoding.noun_lexicon import is_noun
from capgen.metrics.function_words import FUNCTION_WORDS
from capgen.metrics.synonyms import wordnet
from capgen.training.concepts.noun_counts import pairs


class ConceptWords:
    """Finds concepts in captions, in the singular or the plural.

    Args:
        names: The concepts, of one or two words.
        membership: (classes, C): whether a concept names a class.
    """

    def __init__(self, names: Sequence[str], membership: NDArray[Any]) -> None:
        self._numbers = {name: number for number, name in enumerate(names)}
        self._classes = [frozenset(np.flatnonzero(column).tolist()) for column in membership.T]
        # Names that are plurals, by their singular.
        self._singulars: dict[str, int] = {}
        for name, number in self._numbers.items():
            for base in filter(is_noun, _bases(name)):
                self._singulars.setdefault(base, number)
        self._known: dict[str, int | None] = {}

    def find(self, noun: str) -> int | None:
        """Return the number of the concept that one or two words are a form of."""
        if noun not in self._known:
            self._known[noun] = self._find(noun)
        return self._known[noun]

    def of_caption(self, words: Sequence[str]) -> set[int]:
        """Return the concepts that the words of a caption say.

        A word of a pair that is a concept counts for itself too, unless it names other things:
        who says "hot dog" says nothing of dogs, but who says "coffee mug" says "mug".
        """
        found: set[int] = set()
        hidden: set[int] = set()
        for place, pair in enumerate(pairs(words)):
            number = self.find(pair)
            if number is not None:
                found.add(number)
                hidden.update(at for at in (place, place + 1) if self._other(words[at], number))
        numbers = (self.find(word) for at, word in enumerate(words) if at not in hidden)
        return found.union(number for number in numbers if number is not None)

    def tokens(self, vocabulary: Mapping[str, int]) -> list[tuple[int, ...]]:
        """Return the tokens of each concept: the words of the vocabulary that are a form of it."""
        tokens: list[list[int]] = [[] for _ in self._numbers]
        for word, token in sorted(vocabulary.items(), key=lambda item: item[1]):
            number = self.find(word)
            if number is not None:
                tokens[number].append(token)
        return [tuple(own) for own in tokens]

    def _find(self, noun: str) -> int | None:
        if noun in FUNCTION_WORDS:  # "does" is not the plural of "doe"
            return None
        for form in (noun, *_bases(noun)):
            if form in self._numbers:
                return self._numbers[form]
        return self._singulars.get(noun)

    def _other(self, word: str, pair: int) -> bool:
        number = self.find(word)
        classes = frozenset() if number is None else self._classes[number]
        return bool(classes) and not classes & self._classes[pair]


def _bases(noun: str) -> Iterator[str]:
    """Yield what a noun of one or two words may be the plural of."""
    start, space, last = noun.rpartition(" ")
    for base in wordnet().noun_bases(last):
        yield start + space + base
