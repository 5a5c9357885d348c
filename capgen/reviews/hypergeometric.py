"""How many wrong captions a random sample holds: the hypergeometric distribution and its tail."""

from __future__ import annotations

import math


def chance_of_fewer(found: int, captions: int, wrong: int, sampled: int) -> float:
    """Return P(X <= `found`) for the number X of wrong captions in a random sample.

    Args:
        found: The number.
        captions: Size of the population.
        wrong: Wrong captions in the population.
        sampled: Size of the sample, drawn without replacement.
    """
    if found >= min(wrong, sampled):
        return 1.0
    if found < max(0, sampled - captions + wrong):
        return 0.0
    if found > wrong * sampled / captions:
        # Summed from its largest term, a tail loses nothing. The other one is that of the captions
        # that were not drawn.
        return 1.0 - chance_of_fewer(wrong - found - 1, captions, wrong, captions - sampled)
    total = term = chance_of(found, captions, wrong, sampled)
    # Downwards, each chance from the one above it.
    number = found
    while term > total * 1e-17 and number > 0:
        term *= number * (captions - wrong - sampled + number)
        term /= (wrong - number + 1) * (sampled - number + 1)
        total += term
        number -= 1
    return min(total, 1.0)


def chance_of(found: int, captions: int, wrong: int, sampled: int) -> float:
    """Return P(X = `found`), as for `chance_of_fewer`."""
    return math.exp(
        _log_choices(wrong, found)
        + _log_choices(captions - wrong, sampled - found)
        - _log_choices(captions, sampled)
    )


def _log_choices(count: int, chosen: int) -> float:
    return math.lgamma(count + 1) - math.lgamma(chosen + 1) - math.lgamma(count - chosen + 1)
