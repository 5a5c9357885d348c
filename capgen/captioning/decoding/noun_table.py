"""The nouns of a vocabulary, and what repeating one costs in the search. Plain numpy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
# Nats that repeating a noun costs: more than any caption is ahead of another. A penalty rather
# than a ban: where every continuation repeats a noun, one of them is taken.
NOUN_PENALTY = 50.0


class NounTable:
    """Which tokens begin which noun (`capgen.captioning.decoding.noun_lexicon` finds them).

    Its penalties count only where hypotheses are ranked; log-probabilities and scores stay the
    model's.

    Args:
        numbers: (V,) int64, for each token the number of the noun that it begins, from 1; 0 for
            none. Tokens of one noun, such as "dog" and "Dog", have the same number.
    """

    def __init__(self, numbers: Ints) -> None:
        self.numbers = numbers
        self._tokens = np.bincount(numbers)
        self._tokens[0] = 0
        self.count = len(self._tokens) - 1

    def of_width(self, width: int) -> NounTable:
        """Return the table for `width` scores: models may have more than their tokenizer."""
        if width == len(self.numbers):
            return self
        numbers = np.zeros(width, np.int64)
        kept = self.numbers[:width]
        numbers[: len(kept)] = kept
        return NounTable(numbers)

    def penalties(self, history: Ints, tokens: Ints | None = None) -> Floats:
        """Return the penalty for continuing with each token.

        Args:
            history: (..., T) tokens so far, which may include a start token.
            tokens: (..., C) candidates; by default the whole vocabulary.

        Returns:
            (..., C) float32: `NOUN_PENALTY` where a token begins a noun already used, else 0.
        """
        begun = self.numbers[history]
        if tokens is None:
            used = np.zeros((*history.shape[:-1], self.count + 1), bool)
            np.put_along_axis(used, begun, True, axis=-1)
            used[..., 0] = False
            repeated = used[..., self.numbers]
        else:
            numbers = self.numbers[tokens]
            repeated = (numbers[..., None] == begun[..., None, :]).any(axis=-1) & (numbers > 0)
        return np.where(repeated, np.float32(NOUN_PENALTY), np.float32(0))

    def max_penalised(self, history: Ints) -> int:
        """Return an upper bound of the tokens with a penalty in any row of history (..., T)."""
        return int(self._tokens[self.numbers[history]].sum(axis=-1).max())

    def repeated(self, ids: Ints) -> NDArray[np.bool_]:
        """Return which of tokens (T,) begin a noun that an earlier one began."""
        numbers = self.numbers[ids].tolist()
        again = [number > 0 and number in numbers[:place] for place, number in enumerate(numbers)]
        return np.array(again, bool)
