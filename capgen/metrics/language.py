"""What a set of captions is like as language: length, vocabulary, variety, novelty."""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from capgen.errors import MetricError
from capgen.metrics.tokenizer import tokenize


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
        novel: Share of captions that are not among the training captions, or None when
            those were not given.
    """

    captions: int
    mean_length: float
    vocabulary: int
    distinct_1: float
    distinct_2: float
    duplicates: float
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
    pairs = [pair for line in lines for pair in itertools.pairwise(line)]
    times = Counter(tokens)
    return LanguageStatistics(
        captions=len(tokens),
        mean_length=len(words) / len(tokens),
        vocabulary=len(set(words)),
        distinct_1=len(set(words)) / max(len(words), 1),
        distinct_2=len(set(pairs)) / max(len(pairs), 1),
        duplicates=sum(count for count in times.values() if count > 1) / len(tokens),
        novel=None
        if training is None
        else sum(line not in training for line in tokens) / len(tokens),
    )
