"""The beam search of METEOR 1.5 without any shortcut, to compare with."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

from capgen.metrics.meteor_1_5.matches import Match

BEAM = 40
WEIGHTS = (1.0, 0.6, 0.8, 0.6)


class State(NamedTuple):
    """A partial alignment: it ranks by covered words, then chunks, then distance."""

    covered: int = 0
    chunks: int = 0
    distance: int = 0
    caption_end: int | None = None  # of the chunk that is open
    end: int = 0
    used: frozenset[int] = frozenset()
    matches: tuple[tuple[int, Match], ...] = ()

    def rank(self) -> tuple[int, int, int]:
        return -self.covered, self.chunks, self.distance

    def last_rank(self) -> tuple[int, int, int]:
        """Rank once the open chunk has ended."""
        return -self.covered, self.chunks + (self.caption_end is not None), self.distance


def plain_search(options: Sequence[Sequence[Match]]) -> list[tuple[int, Match]]:
    """Return the best alignment; matches that compete with no other are fixed."""
    every = [(start, match) for start, matches in enumerate(options) for match in matches]
    fixed = [
        one for one in every if not any(other is not one and clash(one, other) for other in every)
    ]
    taken = frozenset(chain.from_iterable(caption_words(match) for _, match in fixed))
    states = [State(used=taken)]
    for word, matches in enumerate(options):
        states = sorted(states, key=State.rank)[:BEAM]
        here = [match for start, match in fixed if start == word]
        if here:
            states = [aligned(state, word, here[0]) for state in states]
        else:
            states = [new for state in states for new in branches(state, word, matches)]
    best = sorted(states, key=State.rank)[:BEAM]
    return list(min(best, key=State.last_rank).matches)


def branches(state: State, word: int, matches: Sequence[Match]) -> list[State]:
    if word < state.end:
        return [state]
    found = []
    for match in matches:
        if state.used.isdisjoint(caption_words(match)):
            found.append(aligned(state, word, match))
            state = state._replace(distance=state.distance + abs(word - match.caption_start))
    ended = state.chunks + (state.caption_end is not None)
    return [*found, state._replace(chunks=ended, caption_end=None)]


def aligned(state: State, word: int, match: Match) -> State:
    weight = WEIGHTS[match.matcher]
    covered = int(weight * match.size) + int(weight * match.caption_size)
    goes_on = state.caption_end in (None, match.caption_start)
    return State(
        covered=state.covered + covered,
        chunks=state.chunks + (not goes_on),
        distance=state.distance,
        caption_end=match.caption_start + match.caption_size,
        end=word + match.size,
        used=state.used | caption_words(match),
        matches=(*state.matches, (word, match)),
    )


def caption_words(match: Match) -> frozenset[int]:
    return frozenset(range(match.caption_start, match.caption_start + match.caption_size))


def clash(one: tuple[int, Match], other: tuple[int, Match]) -> bool:
    """Whether two matches share a word."""
    words, others = (set(range(start, start + match.size)) for start, match in (one, other))
    return bool(words & others or caption_words(one[1]) & caption_words(other[1]))
