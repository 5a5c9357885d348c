"""How much two captions have in common: content words, by stem and by WordNet synonym.

Two words mean the same if their Porter stems are equal or if they are nouns that WordNet 3.0
lists as synonyms, in any of their senses. Verbs are compared by stem only: by any sense, "run"
and "play" would be the same.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable

from capgen.metrics.synonyms import wordnet

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
# Words that do not change what a caption of an image says.
STOP_WORDS = frozenset(
    (
        *("a", "an", "the", "this", "that", "these", "those", "some", "there"),
        *("is", "are", "was", "were", "be", "been", "being", "has", "have", "had"),
        *("it", "its", "it's", "he", "his", "him", "she", "her", "they", "their", "them"),
        *("who", "which", "of", "in", "on", "at", "to", "by", "for", "from", "with", "into"),
        *("onto", "through", "and", "or", "as", "while"),
    )
)

Meaning = frozenset[str]


def meaning(text: str) -> Meaning:
    """Return the content words of a caption, in lower case."""
    return frozenset(_WORD.findall(text.lower())) - STOP_WORDS


def overlap(first: Meaning, second: Meaning) -> float:
    """Return the share of both captions' content words that the other has too, 0 to 1."""
    total = len(first) + len(second)
    if not total:
        return 1.0
    pairs = (*((word, second) for word in first), *((word, first) for word in second))
    return sum(_occurs(word, others) for word, others in pairs) / total


def _occurs(word: str, others: Meaning) -> bool:
    return word in others or any(_same_meaning(*sorted((word, other))) for other in others)


@functools.lru_cache(maxsize=1 << 15)
def _same_meaning(first: str, second: str) -> bool:
    stem = _stemmer()
    if stem(first) == stem(second):
        return True
    return stem(second) in map(stem, wordnet().nouns(first))


@functools.cache
def _stemmer() -> Callable[[str], str]:
    from nltk.stem.porter import PorterStemmer

    stem: Callable[[str], str] = functools.lru_cache(maxsize=1 << 14)(PorterStemmer().stem)
    return stem
