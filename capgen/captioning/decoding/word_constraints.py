"""Words that captions must have or must not have, in any search over tokens.

Barring every token after which the caption could no longer be completed keeps each hypothesis on
a way to a caption that is as asked: of the avoided words none is ever spelled, and when the tokens
left just suffice for the included ones, only tokens that spell them remain.

That alone would put included words at the end. A beam search therefore also keeps hypotheses
at each number of tokens that they still need, as grid beam search does (Hokamp and Liu, 2017), in
one beam of fixed width shared out among these numbers (dynamic beam allocation; Post and
Vilar, 2018). Constraints are states of an automaton (`word_automaton`), as in the search of
Anderson et al. (2017), so that all spellings and alternatives of a word count.

Where sampling would end a caption too early, it goes on with the included words instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from capgen.captioning.decoding.length_limits import LengthLimits, Lengths
from capgen.captioning.decoding.score_processors import stuck
from capgen.captioning.decoding.word_automaton import NEVER, WordAutomaton

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

# Beams for each number of tokens that hypotheses still need, as many as the bundled model has
# for free captions; and most of them altogether.
_BEAMS_EACH, _MOST_BEAMS = 3, 24


@dataclass(frozen=True)
class Places:
    """What hypotheses have said, all of one shape: states of the automaton, words as bits.

    `lengths` are known where they are limited.
    """

    states: Ints
    said: Ints
    lengths: Lengths | None = None

    def __getitem__(self, rows: Any) -> Places:
        lengths = None if self.lengths is None else self.lengths[rows]
        return Places(self.states[rows], self.said[rows], lengths)


@dataclass(frozen=True)
class WordConstraints:
    """The words that captions of some length must have and must not have.

    Attributes:
        automaton: The words, over the tokens of the model.
        end: End tokens.
        max_length: Most tokens of a caption, a start token included.
        limits: The most that a caption may say, or None.
    """

    automaton: WordAutomaton
    end: tuple[int, ...]
    max_length: int
    limits: LengthLimits | None = None

    @property
    def searches(self) -> bool:
        """Whether captions as asked are to be searched for, if with few beams."""
        return self.includes or self.limits is not None

    @property
    def includes(self) -> bool:
        """Whether there are words to include."""
        return self.automaton.words > 0

    @cached_property
    def _needed(self) -> Ints:
        return self.automaton.needed.astype(np.int64)

    def beams(self, wanted: int) -> int:
        """Return how many beams a search needs to find captions as asked."""
        if self.limits is not None:
            wanted = max(wanted, _BEAMS_EACH)
        needed = self._needed[0, self._waived(0, 0, self.max_length - 1)]
        return wanted if not self.includes else max(wanted, self._enough(int(needed)))

    @staticmethod
    def _enough(needed: int) -> int:
        return min(_MOST_BEAMS, _BEAMS_EACH * (needed + 1))

    def places(self, history: Ints, begin: int = 1) -> Places:
        """Read tokens (..., T).

        Args:
            history: The tokens of captions so far.
            begin: How many of them are what captions begin with: their start token, which says
                nothing, and words that were given. What they say counts as said. Words that
                could never follow them in the tokens left are not asked for.
        """
        states = np.zeros(history.shape[:-1], np.int64)
        said = np.zeros_like(states)
        left = self.max_length - begin
        if not begin:
            said = self._without_hopeless(states, said, left - 1)
        for place in range(history.shape[-1]):
            states, said = self.automaton.follow(states, said, history[..., place])
            if place == begin - 1:
                said = self._without_hopeless(states, said, left)
        lengths = None if self.limits is None else self.limits.measure(history)
        return Places(states, said, lengths)

    def _without_hopeless(self, states: Ints, said: Ints, left: int) -> Ints:
        """Count words as said that no caption with `left` more tokens could say."""
        flat = zip(states.ravel().tolist(), said.ravel().tolist(), strict=True)
        waived = {pair: self._waived(*pair, left) for pair in set(flat)}
        pairs = zip(states.ravel().tolist(), said.ravel().tolist(), strict=True)
        return np.array([waived[pair] for pair in pairs], np.int64).reshape(said.shape)

    def _waived(self, state: int, said: int, left: int) -> int:
        """Return `said` with the words that cannot be said; earlier words come first."""
        needed, everything = self._needed[state], self.automaton.everything
        if needed[said] <= left:
            return said
        said_or_waived = everything
        for bit in (1 << word for word in range(self.automaton.words)):
            if not said & bit and needed[said_or_waived & ~bit] <= left:
                said_or_waived &= ~bit
        return said_or_waived

    def bar(self, scores: Floats, places: Places, left: int) -> Floats:
        """Return scores (N, V) with -inf for tokens that lead to no caption as asked.

        Args:
            scores: Scores after all other bars.
            places: Where the rows are (N).
            left: How many tokens may follow the one that is chosen now.
        """
        fine = self._fine(places.states, places.said, left)
        if self.limits is not None and places.lengths is not None:
            fine &= self.limits.allowed(places.lengths)
        return np.where(fine, scores, np.float32(-np.inf))

    def give_up(self, scores: Floats, places: Places, left: int) -> Floats:
        """Return scores (N, V) as `bar`, for rows that it leaves no token.

        That is so where other settings bar all tokens that are needed. Then the included words
        and the limits are given up, and if need be the avoided words.
        """
        everything = np.full_like(places.said, self.automaton.everything)
        kept = self.bar(scores, Places(places.states, everything), left)
        lost = stuck(kept)
        kept[lost] = scores[lost]
        return kept

    def _fine(self, states: Ints, said: Ints, left: int) -> NDArray[np.bool_]:
        """Return (N, V): whether a caption as asked can still follow."""
        needed = self._after(states, said)
        fine = (needed <= left)[:, self.automaton.kinds]
        fine[:, list(self.end)] = (self._needed[states, said] == 0)[:, None]
        return fine

    def _after(self, states: Ints, said: Ints) -> Ints:
        """Return the tokens that are needed after one of each kind (N, C)."""
        found = self.automaton.found[states]
        needed = self._needed[self.automaton.after[states], said[:, None] | (found >> 1)]
        return np.where(found & 1, NEVER, needed)

    def spelling(self, state: int, said: int) -> Ints:
        """Return the tokens that bring a hypothesis nearer to having all words."""
        needed = self._needed[state, said]
        if not 0 < needed < NEVER:
            return np.zeros(0, np.int64)
        after = self._after(np.array([state]), np.array([said]))[0]
        kinds = np.flatnonzero((after < needed) & self.automaton.usable).tolist()
        return np.concatenate([self.automaton.members(kind) for kind in kinds])

    def instead_of_ending(self, scores: Floats, places: Places) -> Floats:
        """Give the probability of a caption that ends too early to tokens that go on as asked.

        Args:
            scores: (N, V) logits or log-probabilities before `bar`.
            places: Where the rows are (N).
        """
        scores = scores.copy()
        ends = np.logaddexp.reduce(scores[:, list(self.end)], axis=1)
        for row, pair in enumerate(zip(places.states, places.said, strict=True)):
            tokens = self.spelling(*map(int, pair))
            parts = scores[row, tokens]
            if not np.isfinite(parts).any():
                continue
            share = parts - np.logaddexp.reduce(parts)
            scores[row, tokens] = np.logaddexp(parts, ends[row] + share)
        return scores

    def choose(self, totals: Floats, places: Places, beams: int) -> tuple[Ints, Ints]:
        """Choose candidates of one image: the best, shared out among what they still need.

        Args:
            totals: (K, V) scores of each beam with each token, -inf where it is barred.
            places: Where the beams are (K).
            beams: How many unfinished candidates to choose.

        Returns:
            Places of candidates in `totals`, flattened: unfinished ones, the best first, and
            finished ones, the best first; at most `beams` of each.
        """
        width = totals.shape[1]
        ends = (np.arange(len(totals))[:, None] * width + np.array(self.end)).ravel()
        flat = totals.ravel()
        going = totals.copy()
        going[:, list(self.end)] = -np.inf
        pool = [
            row * width + self.spelling(int(state), int(said))
            for row, (state, said) in enumerate(zip(places.states, places.said, strict=True))
        ]
        spelling = np.concatenate(pool) if pool else np.zeros(0, np.int64)
        going.ravel()[spelling] = -np.inf
        count = min(beams, width)
        # Of every beam, since those with more words have lower scores.
        others = np.argpartition(-going, count - 1, axis=1)[:, :count]
        others += np.arange(len(totals))[:, None] * width
        candidates = np.concatenate([spelling, others.ravel()])
        candidates = candidates[np.isfinite(flat[candidates])]
        candidates = candidates[np.argsort(-flat[candidates], kind="stable")]
        chosen = candidates[_shared_out(self._still_needed(candidates, width, places), beams)]
        ended = ends[np.argsort(-flat[ends], kind="stable")]
        return chosen, ended[np.isfinite(flat[ended])][:beams]

    def _still_needed(self, candidates: Ints, width: int, places: Places) -> Ints:
        rows, tokens = candidates // width, candidates % width
        after = self.automaton.follow(places.states[rows], places.said[rows], tokens)
        return self._needed[after]


def _shared_out(needed: Ints, beams: int) -> Ints:
    """Return which candidates, best first, to keep: as many for each number needed, then the best.

    Numbers with fewer candidates leave their share to the best of the others.
    """
    numbers = np.unique(needed)
    share = max(1, beams // max(1, len(numbers)))
    kept = np.zeros(len(needed), bool)
    for number in numbers[:beams]:
        kept[np.flatnonzero(needed == number)[:share]] = True
    more = beams - int(kept.sum())
    kept[np.flatnonzero(~kept)[: max(0, more)]] = True
    return np.flatnonzero(kept)
