"""The order of partial alignments as whole numbers, which are fast to add and to sort.

A rank is `-covered · cover + chunks · chunk + distance`, where each unit is larger than all that
is below it can add up to. Every unit is a multiple of a power of two, so that the low bits of a
rank are free: they tell which state and which of its choices a key stands for, in the order in
which they are found. Sorted keys are hence stably sorted states.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

from capgen.metrics.meteor_1_5.matches import Match

# What a match of n words covers, by matcher.
_WEIGHTS = (1.0, 0.6, 0.8, 0.6)


class Choices(NamedTuple):
    """What may be chosen at each contested word, in numbers.

    Attributes:
        matches: For each contested word its matches: what each adds to a key; its words in the
            caption, as bits; what it adds to the alternatives that follow; its first word there.
        chunk: What a chunk adds to a key.
        skip: The choice of no match.
        stay: The choice of a state that is inside a match.
        step: From the keys of a state to those of the next.
        mask: The bits that are not of the rank.
        cover: What a covered word takes off a key.
        hopes: For each contested word and the end: the most that is covered from there on, times
            `cover`.
        goal: Some alignment covers as much as this, times `cover`; None where the beam may be
            too narrow for all alignments.
    """

    matches: list[list[tuple[int, int, int, int]]]
    chunk: int
    skip: int
    stay: int
    step: int
    mask: int
    cover: int
    hopes: list[int]
    goal: int | None

    def bound(self, best: int, following: int) -> int:
        """Return the key from which on states cannot win.

        If the beam holds all alignments, those that cannot reach the goal never win. Otherwise
        what matters is also who drives whom out of the beam: but a state that cannot cover as
        much as the best does already is behind in every later order, and so are those behind it.

        Args:
            best: The least key.
            following: The number of the next contested word.
        """
        covered = best // self.cover * self.cover if self.goal is None else -self.goal
        return covered + self.cover + self.hopes[following]


def choices_of(options: Sequence[Sequence[Match]], contested: Sequence[int], beam: int) -> Choices:
    """Return the choices at contested words, given the matches that begin at each word."""
    most = max([len(options[word]) for word in contested])
    bits = (most + 1).bit_length()
    step = 1 << bits
    unit = step << (beam - 1).bit_length()
    farthest = sum([abs(word - match[1]) for word in contested for match in options[word]])
    chunk = unit * (farthest + 1)
    cover = chunk * (len(options) + 2)
    table, best, reached, used, free = [], [], 0, 0, 0
    for word in contested:
        row, gains, taken, taken_words, end = [], [], -1, 0, 0
        for choice, (size, place, length, matcher) in enumerate(options[word]):
            weight = _WEIGHTS[matcher]
            gain = int(weight * size) + int(weight * length)
            words = ((1 << length) - 1) << place
            row.append((choice - gain * cover, words, abs(word - place) * unit, place))
            gains.append(gain)
            if gain > taken and word >= free and not used & words:
                taken, taken_words, end = gain, words, word + size
        if taken >= 0:
            reached, used, free = reached + taken, used | taken_words, end
        table.append(row)
        best.append(max(gains))
    hopes, hope = [0], 0
    for gain in reversed(best):
        hope += gain * cover
        hopes.append(hope)
    hopes.reverse()
    fits = prod([len(row) + 1 for row in table]) <= beam
    goal = reached * cover if fits else None
    return Choices(table, chunk, step - 2, step - 1, step, unit - 1, cover, hopes, goal)
