"""Captions that say different things: many are made, and the best that differ are chosen.

The choice is by maximal marginal relevance (Carbonell and Goldstein, 1998): the next caption is
always the one with the highest score, less a fine for what it has in common with a chosen one.
"""

from __future__ import annotations

from collections.abc import Sequence

from capgen.captioning.word_overlap import Meaning, overlap

# How many nats per token a caption may be less likely if it says something quite different.
FINE = 1.5


def choose(
    meanings: Sequence[Meaning], scores: Sequence[float], count: int, *, fine: float = FINE
) -> list[int]:
    """Choose captions that say different things.

    Args:
        meanings: What each says (see `capgen.captioning.word_overlap`).
        scores: How good each is: log-probability per token.
        count: How many to choose.
        fine: What a caption loses that says exactly what a chosen one says.

    Returns:
        Their places, in the order of choice: the best first. Captions that say the same as a
        chosen one come last, and only if there are too few others.
    """
    left = sorted(range(len(scores)), key=lambda place: -scores[place])
    nearest = dict.fromkeys(left, 0.0)
    chosen: list[int] = []
    while left and len(chosen) < count:
        best = max(
            left, key=lambda place: (nearest[place] < 1, scores[place] - fine * nearest[place])
        )
        left.remove(best)
        chosen.append(best)
        for place in left:
            nearest[place] = max(nearest[place], overlap(meanings[place], meanings[best]))
    return chosen
