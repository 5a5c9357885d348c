"""An automaton over the tokens of a vocabulary: what a caption's tokens have said so far.

The automaton over characters (`word_patterns`) is run once over the text of every token, from
every state. So a word is found in whichever tokens spell it, and "cat" is not found in
"category". From that follows how many tokens a caption needs at least until it has every word
it must have and can end: the way to a caption that can still be completed is always known.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from capgen.captioning.decoding.word_patterns import PhraseReader, State, Symbol

Ints = NDArray[np.int64]
# Tokens needed where no number of them would do.
NEVER = 1 << 14
AVOIDED = 1
_CHUNK = 1 << 22
# Reading one of these twice is as reading it once.
_ONCE = ("space", "letter", "other", "rest", "unknown")


@dataclass(frozen=True)
class WordAutomaton:
    """What each token does in each state. Tokens that do the same are one kind.

    What has been said is a number with a bit per included word; bit 0 of `found` is that of all
    avoided words.

    Attributes:
        kinds: (V,) the kind of each token.
        after: (S, C) the state after a token of each kind.
        found: (S, C) the bits of the words that a token of each kind shows to be there.
        at_end: (S,) the bits of the words that are there if the caption ends.
        usable: (C,) whether a kind has tokens that decoding may use.
        words: Number of included words.
    """

    kinds: Ints
    after: NDArray[np.int32]
    found: NDArray[np.int16]
    at_end: NDArray[np.int16]
    usable: NDArray[np.bool_]
    words: int

    @cached_property
    def everything(self) -> int:
        """What has been said when all included words have been."""
        return (1 << self.words) - 1

    @cached_property
    def needed(self) -> NDArray[np.int16]:
        """How many tokens captions need until they can end: (S, 2 ** words).

        `NEVER` where they would have to say an avoided word, or one that no tokens spell.
        """
        said = np.arange(self.everything + 1)
        ends = (self.at_end[:, None] & AVOIDED == 0) & (
            (said | (self.at_end[:, None] >> 1)) == self.everything
        )
        needed = np.where(ends, 0, NEVER).astype(np.int16)
        kinds = np.flatnonzero(self.usable)
        after, found = self.after[:, kinds], self.found[:, kinds]
        barred = (found & AVOIDED) > 0
        while kinds.size:
            shorter = needed.copy()
            for number in said:
                # What has been said only grows, so these columns are of this round or the last.
                beyond = needed[after, number | (found >> 1)]
                beyond[barred] = NEVER
                shorter[:, number] = np.minimum(needed[:, number], beyond.min(axis=1) + 1)
            shorter = np.minimum(shorter, NEVER)
            if (shorter == needed).all():
                break
            needed = shorter
        return needed

    def members(self, kind: int) -> Ints:
        """Return the tokens of a kind."""
        return self._order[self._bounds[kind] : self._bounds[kind + 1]]

    @cached_property
    def _order(self) -> Ints:
        return np.argsort(self.kinds, kind="stable")

    @cached_property
    def _bounds(self) -> Ints:
        counts = np.bincount(self.kinds, minlength=len(self.usable))
        return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)

    def follow(self, states: Ints, said: Ints, tokens: Ints) -> tuple[Ints, Ints]:
        """Read one token in each row.

        Args:
            states: Any shape.
            said: The same shape.
            tokens: The same shape.

        Returns:
            States, and what has been said.
        """
        kinds = self.kinds[tokens]
        said = said | (self.found[states, kinds] >> 1)
        return self.after[states, kinds].astype(np.int64), said


def word_automaton(
    reader: PhraseReader,
    texts: Mapping[int, bytes],
    width: int,
    words: int,
    unusable: Collection[int] = (),
) -> WordAutomaton:
    """Run a reader over the tokens of a vocabulary.

    Args:
        reader: What to find (see `readers_of`).
        texts: The bytes of each token; those that are missing add nothing.
        width: Number of scores of the model, which may be more than there are tokens.
        words: Number of included words.
        unusable: Tokens that decoding never uses, or only at the end.
    """
    states, step, shown = _states(reader)
    numbers = {symbol: place for place, symbol in enumerate(reader.symbols)}
    spellings: dict[tuple[int, ...], int] = {(): 0}
    spelled = np.zeros(width, np.int64)
    for token, data in texts.items():
        if token < width:
            symbols = _short(reader.symbols_of_bytes(data))
            key = tuple(numbers[symbol] for symbol in symbols)
            spelled[token] = spellings.setdefault(key, len(spellings))
    kind_of, after, found = _effects(list(spellings), step, shown)
    kinds = kind_of[spelled]
    usable = np.zeros(after.shape[1], bool)
    allowed = np.ones(width, bool)
    allowed[[token for token in unusable if token < width]] = False
    usable[kinds[allowed]] = True
    ends = np.array([reader.ended(state) for state in states], np.int16)
    return WordAutomaton(kinds, after, found, ends, usable, words)


def _states(
    reader: PhraseReader,
) -> tuple[list[State], NDArray[np.int32], NDArray[np.int16]]:
    """Return all states that reading can be in, with what each symbol does in each (S, A)."""
    states, places = [State()], {State(): 0}
    step: list[list[int]] = []
    shown: list[list[int]] = []
    for state in states:  # grows
        row = [reader.step(state, symbol) for symbol in reader.symbols]
        for following, _ in row:
            if following not in places:
                places[following] = len(states)
                states.append(following)
        step.append([places[following] for following, _ in row])
        shown.append([bits for _, bits in row])
    return states, np.array(step, np.int32), np.array(shown, np.int16)


def _short(symbols: list[Symbol]) -> list[Symbol]:
    """Leave out repetitions that change nothing."""
    return [
        symbol
        for place, symbol in enumerate(symbols)
        if not place or symbol != symbols[place - 1] or symbol not in _ONCE
    ]


def _effects(
    spellings: list[tuple[int, ...]], step: NDArray[np.int32], shown: NDArray[np.int16]
) -> tuple[Ints, NDArray[np.int32], NDArray[np.int16]]:
    """Return the kind of each spelling, and what each kind does in each state, (S, C) twice."""
    kinds: dict[bytes, int] = {}
    columns: list[NDArray[np.int32]] = []
    kind_of = np.zeros(len(spellings), np.int64)
    # Those of one length at a time, without padding.
    by_length: dict[int, list[int]] = {}
    for place, spelling in enumerate(spellings):
        by_length.setdefault(len(spelling), []).append(place)
    size = max(1, _CHUNK // len(step))
    for length, places in by_length.items():
        for start in range(0, len(places), size):
            chunk = places[start : start + size]
            symbols = np.array([spellings[place] for place in chunk], np.int64)
            states = np.tile(np.arange(len(step), dtype=np.int32), (len(chunk), 1))  # (U, S)
            found = np.zeros_like(states)
            for column in range(length):
                symbol = symbols[:, column, None]
                found |= shown[states, symbol]
                states = step[states, symbol]
            effects = np.concatenate([states, found], axis=1)
            for place, effect in zip(chunk, effects, strict=True):
                kind = kinds.setdefault(effect.tobytes(), len(kinds))
                if kind == len(columns):
                    columns.append(effect)
                kind_of[place] = kind
    table = np.stack(columns, axis=1)  # (2 S, C)
    return kind_of, table[: len(step)], table[len(step) :].astype(np.int16)
