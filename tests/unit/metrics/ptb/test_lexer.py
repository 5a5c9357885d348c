"""The scanner against Python's `re`."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capgen.metrics.ptb.lexer import Automaton
from capgen.metrics.ptb.patterns import Parser, Positions, complement, contains, ranges_of

SETS = {"digit": ranges_of([(48, 57)]), "any": ((0, 0xFFFF),)}


def automaton(*patterns: str, **macros: str) -> Automaton:
    return Automaton(patterns, SETS, macros)


def test_the_longest_match_wins() -> None:
    scanner = automaton("ab", "abc|x", "a")
    assert scanner.longest("abcd", 0) == (1, 3)
    assert scanner.longest("abd", 0) == (0, 2)
    assert scanner.longest("ad", 0) == (2, 1)
    assert scanner.longest("zab", 1) == (0, 3)


def test_of_equally_long_matches_the_first_pattern_wins() -> None:
    assert automaton("[a-z]+", "cat").longest("cat", 0) == (0, 3)
    assert automaton("cat", "[a-z]+").longest("cat", 0) == (0, 3)
    assert automaton("cat", "[a-z]+").longest("cats", 0) == (1, 4)


def test_no_match() -> None:
    assert automaton("b", "a*").longest("c", 0) == (-1, 0)
    assert automaton("b").longest("", 0) == (-1, 0)


def test_a_match_may_end_before_a_longer_one_fails() -> None:
    assert automaton("a", "a{2,3}b").longest("aaac", 0) == (0, 1)


def test_letters_match_both_cases_and_brackets_do_not() -> None:
    assert automaton("kiss").longest("\u212aIſS", 0) == (0, 4)
    assert automaton("[k]").longest("K", 0) == (-1, 0)
    assert automaton(r"\k").longest("K", 0) == (-1, 0)


def test_white_space_counts_in_brackets_only() -> None:
    assert automaton(" a  b ").longest("ab", 0) == (0, 2)
    assert automaton("a[ ]b").longest("a b", 0) == (0, 3)
    assert automaton(r"a\ b\u00e9\t").longest("a bé\t", 0) == (0, 5)


def test_names_stand_for_sets_and_patterns() -> None:
    scanner = automaton("{number}({sign}{number})*", number="{digit}{2}", sign="[-+]")
    assert scanner.longest("12+34-5", 0) == (0, 5)


def test_ends_gives_every_match() -> None:
    assert automaton("a(ba)*").ends("abababa", 0, 6) == [1, 3, 5]
    assert automaton("a+").ends("baa", 0, 3) == []


def test_a_stray_parenthesis_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"unexpected '\)'"):
        Parser(Positions(), {}, {}).parse("a)b")


PATTERNS = [
    "a*b|ab*c",
    "(a|b){2,4}c?",
    "(ab?){0,2}c",
    "[^a]+a{3}",
    "((a|bc)*|b+)c+",
    "(a?b?c?){1,3}a",
    "[a-b]+[^-c]?|cc*",
]


@pytest.mark.parametrize("pattern", PATTERNS)
@given(text=st.text("abc", max_size=12))
def test_like_re(pattern: str, text: str) -> None:
    ends = [end for end in range(1, len(text) + 1) if re.fullmatch(pattern, text[:end])]
    scanner = automaton(pattern)
    assert scanner.ends(text, 0, len(text)) == ends
    assert scanner.longest(text, 0) == ((0, ends[-1]) if ends else (-1, 0))


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 9))))
def test_ranges(pairs: list[tuple[int, int]]) -> None:
    ranges = ranges_of((low, low + more) for low, more in pairs)
    inside = {code for low, more in pairs for code in range(low, low + more + 1)}
    assert {code for code in range(80) if contains(ranges, code)} == inside
    others = complement(ranges)
    assert {code for code in range(80) if contains(others, code)} == set(range(80)) - inside
    assert complement(others) == ranges
