"""What decoding takes and gives: token ids, a step model, hypotheses. Plain numpy."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from capgen.captioning.decoding.noun_table import FINE, NounTable

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
# What decoders make of bytes that are not a whole character yet.
UNFINISHED = "\ufffd"


@dataclass(frozen=True)
class TokenIds:
    """The token ids that steer decoding.

    Attributes:
        start: Fed first.
        end: Any of these finishes a caption.
        suppress: Never generated.
        nouns: Which of them begin a noun; None where that is not known.
    """

    start: int
    end: tuple[int, ...]
    suppress: tuple[int, ...] = ()
    nouns: NounTable | None = None


@dataclass(frozen=True)
class Hypothesis:
    """One generated caption as token ids.

    Attributes:
        ids: Generated token ids, without the start token, with the end token if reached.
        log_probabilities: Log-probability of each of them.
        score: Sum of `log_probabilities` divided by length ** length_penalty.
        fine: What nouns said again take off the score where hypotheses are ranked.
    """

    ids: tuple[int, ...]
    log_probabilities: tuple[float, ...]
    score: float
    fine: float = 0.0

    @property
    def log_probability(self) -> float:
        """Sum of the tokens' log-probabilities."""
        return float(sum(self.log_probabilities))

    @property
    def rank(self) -> float:
        """What hypotheses are ranked by."""
        return self.score - self.fine


class StepModel(Protocol):
    """A decoder that advances one token at a time and remembers its keys and values.

    Rows are beams: image b's beams are rows b·K to b·K + K - 1.
    """

    def logits(self, ids: Ints, parents: Ints) -> Floats:
        """Feed ids (B, K), each continuing row `parents` (B·K) of the last step → (B·K, V)."""
        ...

    def top(self, ids: Ints, parents: Ints, count: int) -> tuple[Floats, Ints]:
        """As `logits`, but return the best log-probabilities and ids, both (B·K, count)."""
        ...

    def keep(self, images: Ints) -> None:
        """Forget all images but these; the next step's rows are theirs."""
        ...


def hypothesis(
    ids: Sequence[int] | Ints,
    log_probs: Sequence[float] | Floats,
    length_penalty: float,
    nouns: NounTable | None = None,
) -> Hypothesis:
    """Make a hypothesis, with the rank that beam search orders by.

    Args:
        ids: As in `Hypothesis`.
        log_probs: The log-probability of each, without what nouns said again cost.
        length_penalty: Exponent of the length.
        nouns: The nouns that should be said once.
    """
    parts = tuple(float(value) for value in log_probs)
    divisor = max(len(parts), 1) ** length_penalty
    score = sum(parts) / divisor
    fine = 0.0
    if nouns is not None:
        fine = FINE * float(nouns.said_again(np.asarray(ids, np.int64)).sum())
    return Hypothesis(tuple(int(token) for token in ids), parts, score, fine / divisor)


def log_softmax(scores: Floats) -> Floats:
    """Log-softmax over the last axis; -inf stays -inf."""
    shifted = scores - scores.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def token_texts(
    decode: Callable[[Sequence[int]], str], ids: Sequence[int]
) -> tuple[str, list[str]]:
    """Return the text of token ids and what each token adds to it.

    Args:
        decode: A tokenizer's decoding, which leaves special tokens out.
        ids: Generated tokens.
    """
    known, parts = "", []
    for count in range(1, len(ids) + 1):
        text = decode(ids[:count])
        # A token that is part of a character only adds nothing yet: its last one adds it whole.
        if text.endswith(UNFINISHED) and count < len(ids):
            parts.append("")
            continue
        # A decoder may also rewrite what came before ("it ' s" becomes "it's").
        parts.append(text[_common_length(known, text) :])
        known = text
    return known.strip(), parts


def _common_length(first: str, second: str) -> int:
    """Characters that two texts have in common at their beginning."""
    same = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(first, second, strict=False))
    return sum(1 for _ in same)
