"""Where captions end that must not be longer than asked.

A caption that runs into a limit would end in the middle of a phrase. So a search keeps to
captions that fit, each ranked with the probability that it ends there, and finds one that ends
where the model would end it (`within_limits`). A caption that is not searched for, such as a
sample, ends at the place before the limit at which the model was most willing to. Either way,
what ends behind half a phrase or otherwise reads badly is taken only if there is nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from capgen.captioning.decoding.hypotheses import Floats, Hypothesis, Ints
from capgen.captioning.decoding.length_limits import LengthLimits

# An end that the model gives less than this is none that a caption should have.
_LEAST_END = math.log(0.01)


def ended_in_time(
    found: Hypothesis,
    limits: LengthLimits,
    ends: Ints,
    values: Floats,
    half: NDArray[np.bool_],
    length_penalty: float,
) -> Hypothesis:
    """Return a hypothesis that fits: this one, or as much of it as the model would best end.

    Args:
        found: The hypothesis.
        limits: The most that it may say.
        ends: (T,) for each of its tokens the end token that was likeliest in its place.
        values: (T,) the log-probability of that.
        half: (T,) whether the model expected the rest of a phrase in that place.
        length_penalty: As in `hypothesis`.
    """
    lengths = limits.along(found.prefix, found.ids)
    fitting = limits.within(lengths)
    if fitting[-1]:
        return found
    # Something has to be said, and there is an end to put in the place of a token.
    may_end = fitting[:-1] & (lengths.words[:-1] > lengths.words[0]) & np.isfinite(values)
    for worse in (lengths.open[:-1], half):
        if (may_end & ~worse).any():
            may_end &= ~worse
    places = np.flatnonzero(may_end)
    if not len(places):
        return found
    place = int(places[np.argmax(values[places])])
    kept = (*found.log_probabilities[:place], float(values[place]))
    return replace(
        found,
        ids=(*found.ids[:place], int(ends[place])),
        log_probabilities=kept,
        score=sum(kept) / len(kept) ** length_penalty,
        cut=False,
    )


def ends_well(found: Hypothesis) -> bool:
    """Whether the model would end a hypothesis where it ends."""
    return not found.cut and found.log_probabilities[-1] >= _LEAST_END


def likeliest_end(log_probs: Floats, end: Sequence[int]) -> tuple[Ints, Floats]:
    """Return for log-probabilities (N, V) the likeliest end token (N,) and its value (N,)."""
    values = log_probs[:, list(end)]
    best = values.argmax(axis=1)
    return np.array(end)[best], values[np.arange(len(values)), best]
