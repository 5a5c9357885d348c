"""A longest-match scanner: a list of patterns becomes one automaton, built as texts need it.

Python's `re` takes the first alternative that matches; a tokenizer in the tradition of
lex takes the longest match of all rules, and the earliest rule among equals. The patterns
are turned into positions and their followers (Glushkov's construction), and sets of
positions become the states of a deterministic automaton the first time a text reaches
them. After that a character costs one dictionary look-up.

Nothing here knows about English or about captions: the rules are in `ptb_rules`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

Ranges = tuple[tuple[int, int], ...]

# Letters outside ASCII whose upper or lower case is an ASCII letter.
_OTHER_CASE = {"k": "\u212a", "s": "\u017f", "i": "\u0130\u0131"}
_CONTROLS = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}


@dataclass(frozen=True)
class Pattern:
    """A parsed pattern over numbered positions.

    Attributes:
        empty: Whether the empty text matches.
        first: Positions that can start a match.
        last: Positions that can end a match.
    """

    empty: bool
    first: frozenset[int]
    last: frozenset[int]


class State(dict[str, "State"]):
    """A state of the automaton: maps the next character to the next state.

    Attributes:
        rule: Number of the rule that matches here, or -1.
        positions: Positions that the next character may match; empty in the dead state.
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
    """Finds which of several patterns matches the longest piece of a text.

    The pattern language: a letter matches both its cases, `[...]` and `[^...]` match
    exactly the characters written, `\\x` is the character x itself (`\\t`, `\\n`, `\\r`,
    `\\f` and `\\u00ad` as in Python), `{name}` is a named set or pattern, and
    `( ) | * + ? {m,n}` mean what they mean in `re`. White space is ignored outside brackets.

    Args:
        patterns: The patterns, in order of preference.
        sets: Named character sets as sorted, disjoint, inclusive ranges.
        macros: Named patterns.
    """

    def __init__(
        self, patterns: Sequence[str], sets: Mapping[str, Ranges], macros: Mapping[str, str]
    ) -> None:
        self._sets: list[Ranges] = []
        self._set_numbers: dict[Ranges, int] = {}
        self._position_sets: list[int] = []
        self._follow: list[set[int]] = []
        self._rule_of_last: dict[int, int] = {}
        parser = _Parser(self, sets, macros)
        first: set[int] = set()
        for number, text in enumerate(patterns):
            pattern = parser.parse(text)
            first |= pattern.first
            for position in pattern.last:
                self._rule_of_last[position] = number
        self._signatures: dict[str, frozenset[int]] = {}
        self._moves: dict[tuple[frozenset[int], frozenset[int]], State] = {}
        self._states: dict[tuple[frozenset[int], int], State] = {}
        self.start = self._state(frozenset(first), -1)

    def longest(self, text: str, start: int) -> tuple[int, int]:
        """Return (rule, end) of the longest match at `start`, or (-1, start) for none."""
        state, rule, end = self.start, -1, start
        for index in range(start, len(text)):
            state = state[text[index]]
            if state.rule >= 0:
                rule, end = state.rule, index + 1
            if not state.positions:
                break
        return rule, end

    def ends(self, text: str, start: int, stop: int) -> list[int]:
        """Return every end, ascending, of a non-empty match in `text[start:stop]`."""
        state, found = self.start, []
        for index in range(start, stop):
            state = state[text[index]]
            if state.rule >= 0:
                found.append(index + 1)
            if not state.positions:
                break
        return found

    def step(self, state: State, character: str) -> State:
        """Return the state after `character`; called once for each state and character."""
        signature = self._signatures.get(character)
        if signature is None:
            code = ord(character)
            signature = frozenset(
                number for number, ranges in enumerate(self._sets) if _contains(ranges, code)
            )
            self._signatures[character] = signature
        key = (state.positions, signature)
        following = self._moves.get(key)
        if following is None:
            matched = [p for p in state.positions if self._position_sets[p] in signature]
            positions = frozenset().union(*(self._follow[p] for p in matched))
            rules = [self._rule_of_last[p] for p in matched if p in self._rule_of_last]
            following = self._state(positions, min(rules, default=-1))
            self._moves[key] = following
        return following

    def _state(self, positions: frozenset[int], rule: int) -> State:
        key = (positions, rule)
        if key not in self._states:
            self._states[key] = State(self, positions, rule)
        return self._states[key]

    def add_position(self, ranges: Ranges) -> Pattern:
        """Return the pattern that matches one character out of `ranges`."""
        number = self._set_numbers.setdefault(ranges, len(self._sets))
        if number == len(self._sets):
            self._sets.append(ranges)
        position = frozenset((len(self._follow),))
        self._position_sets.append(number)
        self._follow.append(set())
        return Pattern(False, position, position)

    def link(self, before: Pattern, after: Pattern) -> None:
        """Let a match of `after` come right after a match of `before`."""
        for position in before.last:
            self._follow[position] |= after.first


class _Parser:
    """Parses patterns into positions of an automaton."""

    def __init__(
        self, automaton: Automaton, sets: Mapping[str, Ranges], macros: Mapping[str, str]
    ) -> None:
        self._automaton = automaton
        self._named_sets = sets
        self._macros = macros
        self._text = ""
        self._at = 0

    def parse(self, text: str) -> Pattern:
        outer = self._text, self._at
        self._text, self._at = text, 0
        pattern = self._alternatives()
        if self._at != len(text):
            raise ValueError(f"unexpected {text[self._at]!r} at {self._at} in pattern {text!r}")
        self._text, self._at = outer
        return pattern

    def _peek(self) -> str:
        while self._text[self._at : self._at + 1].isspace():
            self._at += 1
        return self._text[self._at : self._at + 1]

    def _take(self) -> str:
        character = self._text[self._at]
        self._at += 1
        return character

    def _alternatives(self) -> Pattern:
        pattern = self._sequence()
        while self._peek() == "|":
            self._take()
            other = self._sequence()
            pattern = Pattern(
                pattern.empty or other.empty,
                pattern.first | other.first,
                pattern.last | other.last,
            )
        return pattern

    def _sequence(self) -> Pattern:
        pattern = Pattern(True, frozenset(), frozenset())
        while self._peek() not in ("", "|", ")"):
            pattern = self._join(pattern, self._quantified())
        return pattern

    def _join(self, left: Pattern, right: Pattern) -> Pattern:
        self._automaton.link(left, right)
        return Pattern(
            left.empty and right.empty,
            left.first | right.first if left.empty else left.first,
            left.last | right.last if right.empty else right.last,
        )

    def _quantified(self) -> Pattern:
        start = self._at
        pattern = self._atom()
        sign = self._peek()
        if sign and sign in "*+":
            self._take()
            self._automaton.link(pattern, pattern)
            return Pattern(pattern.empty or sign == "*", pattern.first, pattern.last)
        if sign == "?":
            self._take()
            return Pattern(True, pattern.first, pattern.last)
        if sign == "{" and self._text[self._at + 1].isdigit():
            atom = self._text[start : self._at]
            bounds = self._text[self._at + 1 : self._text.index("}", self._at)]
            self._at += len(bounds) + 2
            least, _, most = bounds.partition(",")
            return self._repeated(atom, pattern, int(least), int(most or least))
        return pattern

    def _repeated(self, atom: str, first: Pattern, least: int, most: int) -> Pattern:
        # Every repetition needs positions of its own.
        pattern = Pattern(least == 0, first.first, first.last)
        for count in range(2, most + 1):
            copy = self.parse(atom)
            if count > least:
                copy = Pattern(True, copy.first, copy.last)
            pattern = self._join(pattern, copy)
        return pattern

    def _atom(self) -> Pattern:
        character = self._take()
        if character == "(":
            pattern = self._alternatives()
            self._take()
            return pattern
        if character == "{":
            name = self._text[self._at : self._text.index("}", self._at)]
            self._at += len(name) + 1
            if name in self._named_sets:
                return self._automaton.add_position(self._named_sets[name])
            return self.parse(f"({self._macros[name]})")
        if character == "[":
            return self._automaton.add_position(self._bracket())
        if character == "\\":
            code = self._escape()
            return self._automaton.add_position(((code, code),))
        cases = {character, character.lower(), character.upper()}
        cases.update(_OTHER_CASE.get(character.lower(), ""))
        return self._automaton.add_position(ranges_of((ord(c), ord(c)) for c in cases))

    def _escape(self) -> int:
        character = self._take()
        if character == "u":
            self._at += 4
            return int(self._text[self._at - 4 : self._at], 16)
        return ord(_CONTROLS.get(character, character))

    def _bracket(self) -> Ranges:
        negated = self._text[self._at] == "^"
        self._at += negated
        found: list[tuple[int, int]] = []
        while (character := self._take()) != "]":
            low = self._escape() if character == "\\" else ord(character)
            high = low
            if self._text[self._at] == "-" and self._text[self._at + 1] != "]":
                self._at += 1
                character = self._take()
                high = self._escape() if character == "\\" else ord(character)
            found.append((low, high))
        ranges = ranges_of(found)
        return complement(ranges) if negated else ranges


def ranges_of(pairs: Iterable[tuple[int, int]]) -> Ranges:
    """Return inclusive ranges sorted, with those that touch or overlap joined."""
    joined: list[tuple[int, int]] = []
    for low, high in sorted(pairs):
        if joined and low <= joined[-1][1] + 1:
            joined[-1] = joined[-1][0], max(high, joined[-1][1])
        else:
            joined.append((low, high))
    return tuple(joined)


def complement(ranges: Ranges) -> Ranges:
    """Return every UTF-16 code unit that `ranges` leaves out."""
    edges = [-1, *(edge for pair in ranges for edge in pair), 0x10000]
    gaps = zip(edges[::2], edges[1::2], strict=True)
    return tuple((before + 1, after - 1) for before, after in gaps if before + 1 < after)


def _contains(ranges: Ranges, code: int) -> bool:
    index = bisect_right(ranges, (code, 0x110000)) - 1
    return index >= 0 and code <= ranges[index][1]
