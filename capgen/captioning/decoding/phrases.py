"""What reads badly in a caption that had to be short: half a phrase, a word said twice.

No list of words tells where a phrase ends: "tennis" ends one in "men playing tennis", but not in
"a man holding a tennis". The model knows: behind half a phrase it expects the rest of it, which is
a noun or what stands before one ("a tennis racket", "a boy wearing a black hat"), or a word that
ties nouns to what is before them ("on top of"). Behind a whole phrase it expects what begins
another: a preposition, an auxiliary, a participle ("a dog running").
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from capgen.metrics.function_words import FUNCTION_WORDS

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

_TIES = frozenset(("a", "an", "the", "his", "her", "its", "their", "my", "your", "our", "of", "to"))
# Of other words, these begin a phrase, and so do participles.
_BREAKS = FUNCTION_WORDS - _TIES
_PARTICIPLES = ("ing", "ed")
# The probability of the rest of a phrase from which the phrase counts as half.
_HALF = 0.5
# No word that the model would say by itself has less; where hardly a token fits, others get in.
_LEAST = math.log(0.001)
# "red" or "two" may be said twice.
_LETTERS = 4


@dataclass(frozen=True)
class Phrases:
    """Tokens by what they are in a phrase.

    Attributes:
        ties: (V,) whether it goes on with a phrase, or with a word.
        content: (V,) whether it is a word that no short caption needs twice.
    """

    ties: NDArray[np.bool_]
    content: NDArray[np.bool_]

    @classmethod
    def of(cls, texts: Mapping[int, bytes], width: int) -> Phrases:
        """Look at tokens.

        Args:
            texts: The bytes of each token; those that are missing are none of this.
            width: Number of scores of the model, which may be more than there are tokens.
        """
        ties, content = np.zeros(width, bool), np.zeros(width, bool)
        for token, data in texts.items():
            word = data.decode(errors="replace").strip().lower()
            if token >= width or not word[:1].isalpha():
                continue
            begins = data[:1].isspace()
            ties[token] = not (begins and (word in _BREAKS or word.endswith(_PARTICIPLES)))
            content[token] = begins and len(word) >= _LETTERS and word not in FUNCTION_WORDS
        return cls(ties, content)

    def half(self, log_probs: Floats) -> NDArray[np.bool_]:
        """Return (N,) whether the model expects the rest of a phrase.

        Args:
            log_probs: (N, V) log-probabilities of the next token.
        """
        return np.asarray(np.exp(log_probs[:, self.ties]).sum(axis=1) >= _HALF)

    def flaws(self, said: Ints, log_probabilities: Sequence[float], half: bool) -> int:
        """Count what reads badly in a caption.

        Args:
            said: Its tokens, with the ones that it began with.
            log_probabilities: Of each generated token, the end token included.
            half: Whether it ends behind half a phrase.
        """
        content = said[self.content[said]]
        repeats = len(content) > len(np.unique(content))
        forced = any(value < _LEAST for value in log_probabilities[:-1])
        return half + repeats + forced
