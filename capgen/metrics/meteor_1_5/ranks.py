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
_SINGLE = (2, 0, 0, 0)  # and for one word on each side


class Choices(NamedTuple):
    """What may be chosen at each contested word, in numbers.

    Attributes:
        matches: For each contested word its matches: what each adds to a key; its words in the
            caption, as bits; what it adds to the alternatives that follow; its first word there.
        has_runs: Whether some match has several words of the reference.
        chunk: What a chunk adds to a key.
        skip: The choice of no match.
        stay: The choice of a state that is inside a match.
        step: From the keys of a state to those of the next.
        mask: The bits that are not of the rank.
        cover: What a covered word takes off a key.
        bounds: For each contested word and the end: see `bound`.
        all_fit: Whether the beam holds all alignments.
    """

    matches: list[list[tuple[int, int, int, int]]]
    has_runs: bool
    chunk: int
    skip: int
    stay: int
    step: int
    mask: int
    cover: int
    bounds: list[int]
    all_fit: bool

    def bound(self, best: int, following: int) -> int:
        """Return the key from which on states cannot win.

        If the beam holds all alignments, those that cannot cover what some alignment covers never
        win. Otherwise what matters is also who drives whom out of the beam: but a state that
        cannot cover as much as the best does already is behind in every later order, and so are
        those behind it. At the end, a state can only lose one more chunk.

        Args:
            best: The least key.
            following: The number of the next contested word.
        """
        bound = self.bounds[following]
        if not self.all_fit:
            bound += best // self.cover * self.cover
        if following < len(self.matches):
            return bound
        return min(bound, best - (best & self.mask) + self.chunk)


def choices_of(options: Sequence[Sequence[Match]], contested: Sequence[int], beam: int) -> Choices:
    """Return the choices at contested words, given the matches that begin at each word."""
    lists = [options[word] for word in contested]
    sizes = [len(matches) for matches in lists]
    step = 1 << (max(sizes) + 1).bit_length()
    unit = step << (beam - 1).bit_length()
    distances = [abs(word - match[1]) for word in contested for match in options[word]]
    chunk = unit * (sum(distances) + 1)
    cover = chunk * (len(options) + 2)
    table, best = [], []
    has_runs = False
    # A good alignment: at each word the first of the free matches that cover most.
    reached = used = free = 0
    for word, matches in zip(contested, lists, strict=True):
        row, most, taken, taken_words, end = [], 0, -1, 0, 0
        for choice, (size, place, length, matcher) in enumerate(matches):
            if size == 1 == length:
                gain, words = _SINGLE[matcher], 1 << place
            else:
                weight = _WEIGHTS[matcher]
                gain = int(weight * size) + int(weight * length)
                words = ((1 << length) - 1) << place
                has_runs = has_runs or size > 1
            row.append((choice - gain * cover, words, abs(word - place) * unit, place))
            if gain > most:
                most = gain
            if gain > taken and word >= free and not used & words:
                taken, taken_words, end = gain, words, word + size
        if taken > 0:
            reached, used, free = reached + taken, used | taken_words, end
        table.append(row)
        best.append(most)
    all_fit = prod([size + 1 for size in sizes]) <= beam
    bound = cover - reached * cover if all_fit else cover
    bounds = [bound]
    for gain in reversed(best):
        bound += gain * cover
        bounds.append(bound)
    bounds.reverse()
    return Choices(
        *(table, has_runs, chunk, step - 2, step - 1, step, unit - 1, cover, bounds, all_fit)
    )
