"""Parse patterns into positions (Glushkov's construction), for the automaton in `lexer`.

A position is a place in a pattern that matches one character.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

Ranges = tuple[tuple[int, int], ...]

# Other letters whose upper or lower case is an ASCII letter.
_OTHER_CASE = {"k": "\u212a", "s": "\u017f", "i": "\u0130\u0131"}
_CONTROLS = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}


@dataclass(frozen=True)
class Pattern:
    """A parsed pattern: whether it matches empty text, and where matches can start and end."""

    empty: bool
    first: frozenset[int]
    last: frozenset[int]


class Positions:
    """The positions of patterns.

    Attributes:
        sets: The distinct sets of characters.
        set_number: Position → index of its set.
        follow: Position → the positions that may match the next character.
    """

    def __init__(self) -> None:
        self.sets: list[Ranges] = []
        self.set_number: list[int] = []
        self.follow: list[set[int]] = []
        self._numbers: dict[Ranges, int] = {}

    def add(self, ranges: Ranges) -> Pattern:
        """Return the pattern that matches one character of `ranges`."""
        number = self._numbers.setdefault(ranges, len(self.sets))
        if number == len(self.sets):
            self.sets.append(ranges)
        position = frozenset((len(self.follow),))
        self.set_number.append(number)
        self.follow.append(set())
        return Pattern(False, position, position)

    def link(self, before: Pattern, after: Pattern) -> None:
        """Allow a match of `after` directly after a match of `before`."""
        for position in before.last:
            self.follow[position] |= after.first


class Parser:
    """Parses patterns into `positions`, given named character sets and named patterns.

    In the pattern language a letter matches both its cases, `[...]` and `[^...]` match exactly
    the characters listed, `\\x` is the character x itself (`\\t`, `\\n`, `\\r`, `\\f` and
    `\\u00ad` as in Python), `{name}` is a named set or pattern, and `( ) | * + ? {m,n}` have
    the same meaning as in `re`. White space outside brackets is ignored.
    """

    def __init__(
        self, positions: Positions, sets: Mapping[str, Ranges], macros: Mapping[str, str]
    ) -> None:
        self._positions = positions
        self._named_sets = sets
        self._macros = macros
        self._text = ""
        self._at = 0

    def parse(self, text: str) -> Pattern:
        """Return the pattern in `text`, with new positions."""
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
            empty = pattern.empty or other.empty
            pattern = Pattern(empty, pattern.first | other.first, pattern.last | other.last)
        return pattern

    def _sequence(self) -> Pattern:
        pattern = Pattern(True, frozenset(), frozenset())
        while self._peek() not in ("", "|", ")"):
            pattern = self._join(pattern, self._quantified())
        return pattern

    def _join(self, left: Pattern, right: Pattern) -> Pattern:
        self._positions.link(left, right)
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
            self._positions.link(pattern, pattern)
            return Pattern(pattern.empty or sign == "*", pattern.first, pattern.last)
        if sign == "?":
            self._take()
            return Pattern(True, pattern.first, pattern.last)
        if sign == "{" and self._text[self._at + 1].isdigit():
            atom = self._text[start : self._at]
            self._take()
            low, _, high = self._until("}").partition(",")
            return self._repeated(atom, pattern, int(low), int(high or low))
        return pattern

    def _repeated(self, atom: str, first: Pattern, low: int, high: int) -> Pattern:
        # Every repetition needs its own positions.
        pattern = Pattern(first.empty or low == 0, first.first, first.last)
        for count in range(2, high + 1):
            copy = self.parse(atom)
            if count > low:
                copy = Pattern(True, copy.first, copy.last)
            pattern = self._join(pattern, copy)
        return pattern

    def _until(self, end: str) -> str:
        text = self._text[self._at : self._text.index(end, self._at)]
        self._at += len(text) + 1
        return text

    def _atom(self) -> Pattern:
        character = self._take()
        if character == "(":
            pattern = self._alternatives()
            self._take()
            return pattern
        if character == "{":
            name = self._until("}")
            if name in self._named_sets:
                return self._positions.add(self._named_sets[name])
            return self.parse(f"({self._macros[name]})")
        if character == "[":
            return self._positions.add(self._bracket())
        if character == "\\":
            code = self._escape()
            return self._positions.add(((code, code),))
        cases = {character, character.lower(), character.upper()}
        cases.update(_OTHER_CASE.get(character.lower(), ""))
        return self._positions.add(ranges_of((ord(c), ord(c)) for c in cases))

    def _escape(self) -> int:
        character = self._take()
        if character == "u":
            self._at += 4
            return int(self._text[self._at - 4 : self._at], 16)
        return ord(_CONTROLS.get(character, character))

    def _bracket(self) -> Ranges:
        negated = self._text[self._at] == "^"
        self._at += negated
        pairs: list[tuple[int, int]] = []
        while (character := self._take()) != "]":
            low = high = self._code(character)
            if self._text[self._at] == "-" and self._text[self._at + 1] != "]":
                self._at += 1
                high = self._code(self._take())
            pairs.append((low, high))
        ranges = ranges_of(pairs)
        return complement(ranges) if negated else ranges

    def _code(self, character: str) -> int:
        return self._escape() if character == "\\" else ord(character)


def ranges_of(pairs: Iterable[tuple[int, int]]) -> Ranges:
    """Return inclusive ranges, sorted and merged where they touch or overlap."""
    joined: list[tuple[int, int]] = []
    for low, high in sorted(pairs):
        if joined and low <= joined[-1][1] + 1:
            joined[-1] = joined[-1][0], max(high, joined[-1][1])
        else:
            joined.append((low, high))
    return tuple(joined)


def complement(ranges: Ranges) -> Ranges:
    """Return the UTF-16 code units that are not in `ranges`."""
    edges = [-1, *(edge for pair in ranges for edge in pair), 0x10000]
    gaps = zip(edges[::2], edges[1::2], strict=True)
    return tuple((before + 1, after - 1) for before, after in gaps if before + 1 < after)


def contains(ranges: Ranges, code: int) -> bool:
    """Return whether sorted, disjoint ranges contain a character."""
    index = bisect_right(ranges, (code, 0x110000)) - 1
    return index >= 0 and code <= ranges[index][1]
