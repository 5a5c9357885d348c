"""What a set of captions is like as language: length, vocabulary, variety, novelty."""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from capgen.errors import MetricError
from capgen.metrics.ptb.tokenizer import tokenize

# Articles, conjunctions, auxiliaries, possessives, and prepositions that want a noun.
_WORDS = """
a an the and or but which who while as than is are was were be been being am has have had do
does did can will would my your its our their of to in on at for from with without into onto
between against towards toward during upon
"""
_FUNCTION_WORDS = frozenset(_WORDS.split())


@dataclass(frozen=True, kw_only=True)
class LanguageStatistics:
    """Statistics of a set of captions, over PTB tokens.

    Attributes:
        captions: Number of captions.
        mean_length: Mean number of words in a caption.
        vocabulary: Number of different words.
        distinct_1: Different words divided by all words (0 without words).
        distinct_2: Different word pairs divided by all word pairs (Li et al., "A
            diversity-promoting objective function", 2016).
        duplicates: Share of captions whose words another caption of the set has too.
        unique: Different captions divided by all captions.
        repeated_pairs: Share of captions that say a word pair twice.
        function_word_ends: Share of captions whose last word is one that hardly any sentence
            ends with ("a", "of", "is", …): they broke off.
        novel: Share of captions that are not among the training captions, or None when
            those were not given.
    """

    captions: int
    mean_length: float
    vocabulary: int
    distinct_1: float
    distinct_2: float
    duplicates: float
    unique: float = 1.0
    repeated_pairs: float = 0.0
    function_word_ends: float = 0.0
    novel: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the statistics as built-in types."""
        return dataclasses.asdict(self)


def known_captions(captions: Iterable[str]) -> frozenset[str]:
    """Return captions as `language_statistics` compares them: their tokens."""
    return frozenset(map(tokenize, captions))


def language_statistics(
    tokens: Sequence[str], *, training: frozenset[str] | None = None
) -> LanguageStatistics:
    """Describe a set of captions.

    Args:
        tokens: Captions as `tokenize` gives them.
        training: The training captions, through `known_captions`.

    Raises:
        MetricError: There are no captions.
    """
    if not tokens:
        raise MetricError("There are no captions to describe")
    lines = [line.split() for line in tokens]
    words = [word for line in lines for word in line]
    own_pairs = [list(itertools.pairwise(line)) for line in lines]
    repeated = sum(len(set(found)) < len(found) for found in own_pairs)
    pairs = [pair for found in own_pairs for pair in found]
    cut = sum(bool(line) and line[-1] in _FUNCTION_WORDS for line in lines)
    times = Counter(tokens)
    return LanguageStatistics(
        captions=len(tokens),
        mean_length=len(words) / len(tokens),
        vocabulary=len(set(words)),
        distinct_1=len(set(words)) / max(len(words), 1),
        distinct_2=len(set(pairs)) / max(len(pairs), 1),
        unique=len(times) / len(tokens),
        repeated_pairs=repeated / len(tokens),
        function_word_ends=cut / len(tokens),
        duplicates=sum(count for count in times.values() if count > 1) / len(tokens),
        novel=None
        if training is None
        else sum(line not in training for line in tokens) / len(tokens),
    )
