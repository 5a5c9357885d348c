"""How many words and characters captions have, by their tokens, and which are too long."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from capgen.captioning.decoding.phrases import Phrases

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

_SPACES = frozenset(b" \t\n\r\v\f")
# English words that something has to follow; "next" and "front" are there for "next to" and "in
# front of", which captions seldom end without.
_OPEN_WORDS = frozenset(
    b"a an the and or but nor of with without in on at to by for from into onto upon over under "
    b"near behind beside between among through toward towards against along across during while "
    b"as than that which who whose is are was were be being has have had its his their my your "
    b"our very next front".split()
)
_SENTENCE_ENDS = frozenset((b".", b"!", b"?"))


@dataclass(frozen=True)
class Lengths:
    """How long hypotheses are, all arrays of one shape.

    Attributes:
        words: Words, which are what spaces part and has a letter or digit.
        within: 1 where a letter would continue a word, 0 where it would begin one.
        characters: Characters, without spaces at the beginning.
        spaces: Those of them that are spaces at the end.
        open: Whether the last word is one that something has to follow, such as "the".
    """

    words: Ints
    within: Ints
    characters: Ints
    spaces: Ints
    open: NDArray[np.bool_]

    def __getitem__(self, rows: Any) -> Lengths:
        return Lengths(*(getattr(self, field.name)[rows] for field in fields(self)))

    @classmethod
    def joined(cls, steps: Sequence[Lengths]) -> Lengths:
        """Return lengths that were measured one by one."""
        names = [field.name for field in fields(cls)]
        return cls(*(np.array([getattr(step, name) for step in steps]) for name in names))


@dataclass(frozen=True)
class TokenLengths:
    """What the tokens of a vocabulary add to the length of a caption.

    Attributes:
        words: (2, V) the words that a token begins, by `Lengths.within`.
        within: (2, V) whether a word goes on after it.
        characters: (V,) its characters.
        trailing: (V,) those of them that are spaces at its end.
        leading: (V,) those that are spaces at its beginning.
        idle: (V,) whether it is punctuation that ends no sentence: after the last word there is
            no use for it, and captions may fill up with it.
        silent: (V,) whether it adds nothing, as end tokens do.
        open: (V,) whether it is a word that something has to follow.
    """

    words: Ints
    within: Ints
    characters: Ints
    trailing: Ints
    leading: Ints
    idle: NDArray[np.bool_]
    silent: NDArray[np.bool_]
    open: NDArray[np.bool_]

    @classmethod
    def of(cls, texts: Mapping[int, bytes], width: int, *, articles: bool = False) -> TokenLengths:
        """Measure tokens.

        Args:
            texts: The bytes of each token; those that are missing add nothing.
            width: Number of scores of the model, which may be more than there are tokens.
            articles: Whether an "a" may yet become an "an", and counts as that.
        """
        words, within = np.zeros((2, width), np.int64), np.zeros((2, width), np.int64)
        within[1] = 1
        characters, trailing, leading = (np.zeros(width, np.int64) for _ in range(3))
        idle, silent, opens = np.zeros(width, bool), np.ones(width, bool), np.zeros(width, bool)
        for token, data in texts.items():
            if token >= width:
                continue
            # Later bytes of a character begin with the bits 10.
            characters[token] = sum(byte & 0xC0 != 0x80 for byte in data)
            if articles and data.strip().lower() == b"a":
                characters[token] += 1
            trailing[token] = len(data) - len(data.rstrip())
            leading[token] = len(data) - len(data.lstrip())
            idle[token] = not _words(data, 0)[0] and data.strip() not in _SENTENCE_ENDS
            silent[token] = not data
            opens[token] = data.strip().lower() in _OPEN_WORDS
            for before in (0, 1):
                words[before, token], within[before, token] = _words(data, before)
        return cls(words, within, characters, trailing, leading, idle, silent, opens)

    def follow(self, lengths: Lengths, tokens: Ints) -> Lengths:
        """Return lengths after one more token in each row; `tokens` may have one more axis."""
        if lengths.words.ndim < tokens.ndim:
            lengths = lengths[..., None]
        words, within, characters = lengths.words, lengths.within, lengths.characters
        # As a part of a word, such as the end of "banana", it is none of those words.
        alone = self.open[tokens] & (within + (self.leading[tokens] == 0) < 2)
        added = self.characters[tokens]
        added = np.where(characters == 0, added - self.leading[tokens], added)
        spaces = self.trailing[tokens]
        spaces = np.where(spaces == self.characters[tokens], lengths.spaces + spaces, spaces)
        return Lengths(
            words + self.words[within, tokens],
            self.within[within, tokens],
            characters + added,
            np.where(characters + added == 0, 0, spaces),
            np.where(self.silent[tokens], lengths.open, alone),
        )


def _words(data: bytes, within: int) -> tuple[int, int]:
    """Return how many words bytes begin, and whether a word goes on after them."""
    begun = 0
    for byte in data:
        if byte in _SPACES:
            within = 0
        elif not within and (byte >= 0x80 or chr(byte).isalnum()):
            begun, within = begun + 1, 1
    return begun, within


@dataclass(frozen=True)
class LengthLimits:
    """The most that captions may say.

    Attributes:
        tokens: What the model's tokens add.
        max_words: Most words, or None.
        max_characters: Most characters, or None.
        phrases: Tells which captions that fit read badly.
    """

    tokens: TokenLengths
    max_words: int | None
    max_characters: int | None
    phrases: Phrases

    def measure(self, history: Ints) -> Lengths:
        """Measure tokens (..., T), of which a start token adds nothing."""
        none = np.zeros(history.shape[:-1], np.int64)
        lengths = Lengths(none, none, none, none, none > 0)
        for place in range(history.shape[-1]):
            lengths = self.tokens.follow(lengths, history[..., place])
        return lengths

    def allowed(self, lengths: Lengths) -> NDArray[np.bool_]:
        """Return (N, V): whether hypotheses (N) fit with one more token."""
        every = self._every[None]
        after = self.tokens.follow(lengths, every)
        fit = self.within(after)
        if self.max_words is not None:
            fit &= ~(self.tokens.idle & (lengths.words >= self.max_words)[:, None])
        return fit & ~(self.tokens.silent & lengths.open[:, None])

    def fits(self, prefix: Sequence[int], ids: Sequence[int]) -> bool:
        """Whether a caption of these tokens fits, with the ones that it begins with."""
        return bool(self.within(self.along(prefix, ids))[-1])

    def along(self, prefix: Sequence[int], ids: Sequence[int]) -> Lengths:
        """Return the lengths (T + 1,) behind a prefix and the first n tokens, from none to all."""
        steps = [self.measure(np.array([*prefix], np.int64))]
        for token in ids:
            steps.append(self.tokens.follow(steps[-1], np.array(token)))
        return Lengths.joined(steps)

    def within(self, lengths: Lengths) -> NDArray[np.bool_]:
        """Return which lengths are within the limits."""
        fits = np.ones(lengths.words.shape, bool)
        if self.max_words is not None:
            fits &= lengths.words <= self.max_words
        if self.max_characters is not None:
            fits &= lengths.characters - lengths.spaces <= self.max_characters
        return fits

    @cached_property
    def _every(self) -> Ints:
        return np.arange(len(self.tokens.characters))
