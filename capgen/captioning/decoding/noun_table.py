"""A noun is said once: in a search, hypotheses that say one again lose to those that do not.

The cost is a fine, not a bar: where every way on says a noun again, one of them is taken. It is
taken off what hypotheses are ranked by only; log-probabilities and scores are the model's.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]
Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

# Nats that a noun said again costs: more than any caption is ahead of another.
FINE = 50.0


class NounTable:
    """Which tokens begin which noun (`capgen.captioning.decoding.noun_lexicon` finds them).

    Args:
        numbers: (V,) int64, for each token the number of the noun that it begins, from 1; 0 for
            none. Tokens of one noun, such as "dog" and "Dog", have the same number.

    Attributes:
        numbers: These numbers.
        count: How many nouns there are.
    """

    def __init__(self, numbers: Ints) -> None:
        self.numbers = numbers
        self._tokens = np.bincount(numbers)
        self._tokens[0] = 0
        self.count = len(self._tokens) - 1

    def of_width(self, width: int) -> NounTable:
        """Return the table for scores of that many tokens: models have more than tokenizers."""
        if width == len(self.numbers):
            return self
        numbers = np.zeros(width, np.int64)
        kept = self.numbers[:width]
        numbers[: len(kept)] = kept
        return NounTable(numbers)

    def fines(self, history: Ints, tokens: Ints | None = None) -> Floats:
        """Return what it costs to go on with each token.

        Args:
            history: (..., T) tokens so far, which may include a start token.
            tokens: (..., C) tokens to go on with; by default the whole vocabulary.

        Returns:
            (..., C) float32: `FINE` where a token begins a noun already said, else 0.
        """
        said = np.zeros((*history.shape[:-1], self.count + 1), bool)
        np.put_along_axis(said, self.numbers[history], True, axis=-1)
        said[..., 0] = False
        if tokens is None:
            again = said[..., self.numbers]
        else:
            again = np.take_along_axis(said, self.numbers[tokens], axis=-1)
        return np.where(again, np.float32(FINE), np.float32(0))

    def most(self, history: Ints) -> int:
        """Return how many tokens `fines` is for in the row of history (..., T) with the most.

        It may be too many, never too few.
        """
        return int(self._tokens[self.numbers[history]].sum(axis=-1).max())

    def said_again(self, ids: Ints) -> Bools:
        """Return which of tokens (T,) begin a noun that an earlier one began."""
        numbers = self.numbers[ids]
        again = np.ones(len(numbers), bool)
        again[np.unique(numbers, return_index=True)[1]] = False
        return again & (numbers > 0)
