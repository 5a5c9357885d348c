"""Captions that say different things: what they have in common, and a choice among them.

Content words are compared by Porter stem, and nouns also as WordNet 3.0 synonyms in any of their
senses. Verbs are compared by stem only: by any sense, "run" and "play" would be the same.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence

from capgen.metrics.synonyms import wordnet

# Nats per token that a caption loses if it says exactly what a chosen one says.
PENALTY = 1.5
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


def choose(
    meanings: Sequence[Meaning], scores: Sequence[float], count: int, *, penalty: float = PENALTY
) -> list[int]:
    """Choose captions by maximal marginal relevance, and return their places, the best first.

    The next caption is always the one with the highest score, less a penalty for what it has in
    common with one already chosen (Carbonell and Goldstein, 1998). Captions that say the same as
    a chosen one come last, and only if there are too few others.

    Args:
        meanings: What each says (see `meaning`).
        scores: How good each is: log-probability per token.
        count: How many to choose.
        penalty: What a caption loses if it says exactly what a chosen one says.
    """
    left = sorted(range(len(scores)), key=lambda place: -scores[place])
    nearest = dict.fromkeys(left, 0.0)
    chosen: list[int] = []
    while left and len(chosen) < count:
        best = max(left, key=lambda n: (nearest[n] < 1, scores[n] - penalty * nearest[n]))
        left.remove(best)
        chosen.append(best)
        for place in left:
            nearest[place] = max(nearest[place], overlap(meanings[place], meanings[best]))
    return chosen
