"""What decoding takes and returns: token ids, a step model, hypotheses. Plain numpy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from capgen.captioning.decoding.noun_table import NOUN_PENALTY, NounTable

if TYPE_CHECKING:
    from capgen.captioning.decoding.concept_bonus import ConceptBonus
    from capgen.captioning.decoding.length_limits import LengthLimits
    from capgen.captioning.decoding.word_constraints import WordConstraints

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class TokenIds:
    """The token ids that steer decoding.

    Attributes:
        start: Fed first.
        end: Any of these finishes a caption.
        suppress: Never generated.
        nouns: Which of them begin a noun; None where that is not known.
        prefix: Fed after the start: the words that captions begin with.
        words: The words that captions must have or must not have, or None.
        concepts: What the concepts of each image add, or None.
        limits: The most that captions may say, or None. Samples end in time; searches keep to
            the limits of `words` (see `capgen.captioning.decoding.within_limits`).
    """

    start: int
    end: tuple[int, ...]
    suppress: tuple[int, ...] = ()
    nouns: NounTable | None = None
    words: WordConstraints | None = None
    prefix: tuple[int, ...] = ()
    concepts: ConceptBonus | None = None
    limits: LengthLimits | None = None

    @property
    def fed(self) -> tuple[int, ...]:
        """What every sequence begins with, before anything is generated."""
        return (self.start, *self.prefix)

    def bonus(self, ids: Sequence[int] | Ints, image: int) -> float:
        """Return what concepts add to a hypothesis of these generated tokens of an image."""
        if self.concepts is None:
            return 0.0
        whole = np.array([*self.prefix, *ids], np.int64)
        return float(self.concepts.earned(whole, len(self.prefix), image).sum())


@dataclass(frozen=True)
class Hypothesis:
    """One generated caption as token ids.

    Attributes:
        ids: Generated token ids, without the start token and the prefix, with the end token if
            reached.
        log_probabilities: Log-probability of each of them.
        score: Sum of `log_probabilities` divided by length ** length_penalty.
        penalty: What repeated nouns take off the score where hypotheses are ranked, less what
            concepts add to it.
        prefix: Token ids between the start token and `ids` that were given, not generated.
        served: The text, if a server gave it instead of `ids`, which may then be empty.
        parts: What each token adds to that text. Empty, as are the log-probabilities, if the
            server does not tell.
        cut: Whether it stopped at the longest caption, without an end token.
        flaws: How many things read badly in it, where it had to be short (see `phrases`).
    """

    ids: tuple[int, ...]
    log_probabilities: tuple[float, ...]
    score: float
    penalty: float = 0.0
    prefix: tuple[int, ...] = ()
    served: str | None = None
    parts: tuple[str, ...] = ()
    cut: bool = False
    flaws: int = 0

    @property
    def log_probability(self) -> float:
        """Sum of the tokens' log-probabilities."""
        return float(sum(self.log_probabilities))

    @property
    def rank(self) -> float:
        """What hypotheses are ranked by: higher is better."""
        return self.score - self.penalty


class StepModel(Protocol):
    """A decoder that advances one token at a time and remembers its keys and values.

    Rows are beams: image b's beams are rows b·K to b·K + K - 1.
    """

    def logits(self, ids: Ints, parents: Ints) -> Floats:
        """Feed ids (B, K), each continuing row `parents` (B·K) of the last step → (B·K, V)."""
        ...

    def top(
        self, ids: Ints, parents: Ints, count: int, also: Ints | None = None
    ) -> tuple[Floats, Ints]:
        """As `logits`, but return the best log-probabilities and ids, both (B·K, count).

        Those of the tokens `also` (B, A) of each image come behind them: (B·K, count + A).
        """
        ...

    def keep(self, images: Ints) -> None:
        """Forget all images but these; the next step's rows are theirs."""
        ...


def hypothesis(
    ids: Sequence[int] | Ints,
    log_probs: Sequence[float] | Floats,
    length_penalty: float,
    nouns: NounTable | None = None,
    prefix: tuple[int, ...] = (),
    bonus: float = 0.0,
    end: Sequence[int] | None = None,
) -> Hypothesis:
    """Return a hypothesis of these tokens, scored and penalised for the nouns it repeats.

    Args:
        ids: Its generated tokens.
        log_probs: Their log-probabilities.
        length_penalty: The power of its length that scores are divided by.
        nouns: Which tokens begin a noun; None allows repeating them.
        prefix: Tokens that it begins with and that were not generated.
        bonus: What the concepts that it says add.
        end: The tokens that finish a caption; without them it counts as finished.
    """
    parts = tuple(map(float, log_probs))
    divisor = max(len(parts), 1) ** length_penalty
    whole = np.array([*prefix, *ids], np.int64)
    repeats = 0 if nouns is None else nouns.repeated(whole)[len(prefix) :].sum()
    penalty = (NOUN_PENALTY * float(repeats) - bonus) / divisor
    cut = end is not None and len(ids) > 0 and int(ids[-1]) not in end
    return Hypothesis(tuple(map(int, ids)), parts, sum(parts) / divisor, penalty, prefix, cut=cut)


def among(ids: Ints, tokens: Sequence[int]) -> NDArray[np.bool_]:
    """Return which ids are among a few tokens; faster than `np.isin`."""
    return (ids[..., None] == np.array(tokens, np.int64)).any(axis=-1)


def with_others(best: Ints, also: Ints) -> Ints:
    """Return the ids `best` (B·K, C) of each beam with those `also` (B, A) of its image."""
    beams = len(best) // len(also)
    return np.concatenate([best, np.repeat(also, beams, axis=0)], axis=1)


def log_softmax(scores: Floats) -> Floats:
    """Log-softmax over the last axis; -inf stays -inf."""
    shifted = scores - scores.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
