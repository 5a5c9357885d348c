"""A longest-match scanner over patterns, like lex; a deterministic automaton built lazily.

Python's `re` takes the first alternative that matches, not the longest, and is about three times
slower here. A state is a set of positions (see `patterns`), built when a text first reaches it;
after that, a character costs one dictionary look-up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from capgen.metrics.ptb.patterns import Parser, Positions, Ranges, contains


class State(dict[str, "State"]):
    """A state of the automaton: maps the next character to the next state.

    `rule` is the number of the rule that matches here, or -1. `positions` are those that the
    next character may match; there are none in the dead state.
    """

    __slots__ = ("_automaton", "positions", "rule")

    def __init__(self, automaton: Automaton, positions: frozenset[int], rule: int) -> None:
        super().__init__()
        self._automaton = automaton
        self.positions = positions
        self.rule = rule

    def __missing__(self, character: str) -> State:
        following = self._automaton.step(self, character)
        self[character] = following
        return following


class Automaton:
    """Finds the longest match of several patterns, which `patterns.Parser` explains.

    Of equally long matches it finds that of the first pattern.
    """

    def __init__(
        self, patterns: Sequence[str], sets: Mapping[str, Ranges], macros: Mapping[str, str]
    ) -> None:
        self._positions = Positions()
        self._rule_of_last: dict[int, int] = {}
        parser = Parser(self._positions, sets, macros)
        first: set[int] = set()
        for number, text in enumerate(patterns):
            pattern = parser.parse(text)
            first |= pattern.first
            self._rule_of_last |= dict.fromkeys(pattern.last, number)
        self._signatures: dict[str, frozenset[int]] = {}
        self._moves: dict[tuple[frozenset[int], frozenset[int]], State] = {}
        self._states: dict[tuple[frozenset[int], int], State] = {}
        self._start = self._state(frozenset(first), -1)

    def longest(self, text: str, start: int) -> tuple[int, int]:
        """Return (rule, end) of the longest match at `start`, or (-1, start) for none."""
        state, rule, end = self._start, -1, start
        for index in range(start, len(text)):
            state = state[text[index]]
            if state.rule >= 0:
                rule, end = state.rule, index + 1
            if not state.positions:
                break
        return rule, end

    def ends(self, text: str, start: int, stop: int) -> list[int]:
        """Return the ends of all non-empty matches in `text[start:stop]`, ascending."""
        state, ends = self._start, []
        for index in range(start, stop):
            state = state[text[index]]
            if state.rule >= 0:
                ends.append(index + 1)
            if not state.positions:
                break
        return ends

    def step(self, state: State, character: str) -> State:
        """Return the state after `character`; called once per state and character."""
        signature = self._signature(character)
        key = (state.positions, signature)
        following = self._moves.get(key)
        if following is None:
            number, follow = self._positions.set_number, self._positions.follow
            matched = [p for p in state.positions if number[p] in signature]
            positions = frozenset[int]().union(*(follow[p] for p in matched))
            rules = [self._rule_of_last[p] for p in matched if p in self._rule_of_last]
            following = self._moves[key] = self._state(positions, min(rules, default=-1))
        return following

    def _signature(self, character: str) -> frozenset[int]:
        """Return the numbers of the sets that contain a character."""
        if character not in self._signatures:
            sets = enumerate(self._positions.sets)
            self._signatures[character] = frozenset(
                number for number, ranges in sets if contains(ranges, ord(character))
            )
        return self._signatures[character]

    def _state(self, positions: frozenset[int], rule: int) -> State:
        key = (positions, rule)
        if key not in self._states:
            self._states[key] = State(self, positions, rule)
        return self._states[key]
