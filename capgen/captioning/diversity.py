"""Choosing captions that say different things, by maximal marginal relevance.

The next caption is always the one with the highest score, less a penalty for what it has in
common with one already chosen (Carbonell and Goldstein, 1998).
"""

from __future__ import annotations

from collections.abc import Sequence

from capgen.captioning.word_overlap import Meaning, overlap

# Nats per token that a caption loses if it says exactly what a chosen one says.
PENALTY = 1.5


def choose(
    meanings: Sequence[Meaning], scores: Sequence[float], count: int, *, penalty: float = PENALTY
) -> list[int]:
    """Choose captions that say different things, and return their places, the best first.

    Captions that say the same as a chosen one come last, and only if there are too few others.

    Args:
        meanings: What each says (see `capgen.captioning.word_overlap`).
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
