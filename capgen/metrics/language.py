"""Language statistics of a set of captions: length, vocabulary, variety, novelty."""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from capgen.errors import MetricError
from capgen.metrics.function_words import FUNCTION_WORDS
from capgen.metrics.ptb.tokenizer import tokenize

# Articles, conjunctions, auxiliaries, possessives, and prepositions that require a noun.
_NEVER_LAST = """
a an the and or but which who while as than is are was were be been being am has have had do
does did can will would my your its our their of to in on at for from with without into onto
between against towards toward during upon
"""
_NEVER_LAST_WORDS = frozenset(_NEVER_LAST.split())
_MOST_FREQUENT = 5


@dataclass(frozen=True, kw_only=True)
class LanguageStatistics:
    """Statistics of a set of captions, over tokens.

    Attributes:
        captions: Number of captions.
        mean_length: Mean number of words in a caption.
        vocabulary: Number of distinct words.
        distinct_1: Distinct words divided by all words (0 without words).
        distinct_2: Distinct word pairs divided by all word pairs (Li et al., "A
            diversity-promoting objective function", 2016).
        duplicates: Share of captions that have the same words as another caption of the set.
        unique: Distinct captions divided by all captions.
        repeated_pairs: Share of captions that repeat a word pair.
        repeated_words: Share of captions that say a content word twice.
        function_word_ends: Share of captions that break off: they end with a word that hardly
            ever ends a sentence ("a", "of", "is", …).
        novel: Share of captions that are not among the training captions, or None if those
            were not given.
        coverage: Share of the references' distinct words that the captions use (global recall
            in van Miltenburg et al., "Measuring the diversity of automatic image descriptions",
            2018), or None without references.
        most_frequent: The captions given to more than one image, as tokens, with their number;
            the most frequent first, at most five.
    """

    captions: int
    mean_length: float
    vocabulary: int
    distinct_1: float
    distinct_2: float
    duplicates: float
    unique: float = 1.0
    repeated_pairs: float = 0.0
    repeated_words: float = 0.0
    function_word_ends: float = 0.0
    novel: float | None = None
    coverage: float | None = None
    most_frequent: tuple[tuple[str, int], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the statistics as built-in types."""
        return dataclasses.asdict(self) | {"most_frequent": list(map(list, self.most_frequent))}


def known_captions(
    captions: Iterable[str], tokenize: Callable[[str], str] = tokenize
) -> frozenset[str]:
    """Return captions as `language_statistics` compares them: their tokens."""
    return frozenset(map(tokenize, captions))


def language_statistics(
    tokens: Sequence[str],
    *,
    training: frozenset[str] | None = None,
    references: Iterable[str] | None = None,
) -> LanguageStatistics:
    """Return the statistics of captions, given the result of `tokenize` for each.

    Args:
        tokens: The result of `tokenize` for each caption.
        training: The result of `known_captions` for the training captions.
        references: The result of `tokenize` for each reference.
    """
    if not tokens:
        raise MetricError("There are no captions to describe")
    total = len(tokens)
    lines = [line.split() for line in tokens]
    words = [word for line in lines for word in line]
    pairs_of = [list(itertools.pairwise(line)) for line in lines]
    pairs = [pair for line in pairs_of for pair in line]
    counts = Counter(tokens)
    broken_off = sum(bool(line) and line[-1] in _NEVER_LAST_WORDS for line in lines)
    novel = None if training is None else sum(line not in training for line in tokens)
    wanted = {word for line in references or () for word in line.split()}
    return LanguageStatistics(
        captions=total,
        mean_length=len(words) / total,
        vocabulary=len(set(words)),
        distinct_1=len(set(words)) / max(len(words), 1),
        distinct_2=len(set(pairs)) / max(len(pairs), 1),
        unique=len(counts) / total,
        repeated_pairs=sum(map(_repeats, pairs_of)) / total,
        repeated_words=sum(_repeats(_content_words(line)) for line in lines) / total,
        function_word_ends=broken_off / total,
        duplicates=sum(count for count in counts.values() if count > 1) / total,
        novel=None if novel is None else novel / total,
        coverage=len(wanted & set(words)) / len(wanted) if wanted else None,
        most_frequent=tuple(pair for pair in counts.most_common(_MOST_FREQUENT) if pair[1] > 1),
    )


def _repeats(items: Sequence[object]) -> bool:
    return len(set(items)) < len(items)


def _content_words(words: Sequence[str]) -> list[str]:
    """Return the words that name something; "'s" and "n't" are tokens, too, but do not."""
    return [word for word in words if word not in FUNCTION_WORDS and "'" not in word]
