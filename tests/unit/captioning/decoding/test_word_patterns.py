"""Phrases in texts, beside regular expressions that say the same."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from capgen.captioning.decoding.word_patterns import Phrase, PhraseReader, State, readers_of

LETTERS = "abAB1_ -'.\n"
PHRASES = st.text(LETTERS, min_size=1, max_size=5).filter(str.strip)


def pattern_of(phrase: str) -> re.Pattern[str]:
    """The rules in the module's docstring, in the words of `re`, for ASCII."""
    parts = phrase.casefold().split()
    written = ""
    for number, part in enumerate(parts):
        for place, character in enumerate(part):
            if number or place:
                before = (
                    (parts[number - 1] + part)[len(parts[number - 1]) + place - 1]
                    if place == 0
                    else part[place - 1]
                )
                wordy = re.match(r"\w\w", before + character)
                written += (r"\s+" if place == 0 else "") if wordy else r"\s*"
            written += re.escape(character)
    begin = r"(?<!\w)" if re.match(r"\w", parts[0]) else ""
    end = r"(?!\w)" if re.search(r"\w$", parts[-1]) else ""
    return re.compile(begin + written + end, re.ASCII)


def reads(phrase: str, text: str, *, sure: bool = True) -> bool:
    return PhraseReader([Phrase.of(phrase, 1, sure=sure)]).find(text) == 1


@given(PHRASES, st.text(LETTERS, max_size=14), st.booleans())
@settings(max_examples=600, deadline=None)
@example("a-b", "a - b", True)
@example("a b", "ab", True)
@example("a", "a_", False)
def test_a_phrase_is_found_where_the_rules_say_so(phrase: str, text: str, sure: bool) -> None:
    expected = pattern_of(phrase).search(text.casefold()) is not None
    assert reads(phrase, text, sure=sure) is expected


@given(st.lists(PHRASES, min_size=1, max_size=5), st.text(LETTERS, max_size=14))
@settings(max_examples=200, deadline=None)
def test_phrases_do_not_disturb_each_other(phrases: list[str], text: str) -> None:
    together = PhraseReader([Phrase.of(p, 1 << n, sure=True) for n, p in enumerate(phrases)])
    alone = sum(1 << n for n, phrase in enumerate(phrases) if reads(phrase, text))
    assert together.find(text) == alone


@pytest.mark.parametrize(
    ("phrase", "text", "found"),
    [
        ("cat", "A CAT.", True),
        ("cat", "a category of cats", False),
        ("cat", "a cat's bed", True),
        ("fire truck", "a fire  truck", True),
        ("fire truck", "a firetruck", False),
        ("t-shirt", "in a T - shirt", True),
        ("man's", "the man ' s hat", True),
        ("café", "un CAFÉ", True),
        ("cafe", "un cafe\u0301", False),
        ("straße", "die STRASSE", True),
        ("猫", "黑猫在沙发上", True),
        ("कुत्ता", "एक कुत्ता है", True),
        ("कुत", "एक कुत्ता है", False),
        ("c++", "in c++11", True),
    ],
)
def test_examples(phrase: str, text: str, found: bool) -> None:
    assert reads(phrase, text) is found
    assert reads(phrase, text, sure=False) is found


@given(st.text("aé猫🐈 É", max_size=8), st.lists(st.integers(0, 40), max_size=8))
@settings(max_examples=400, deadline=None)
@pytest.mark.parametrize("phrase", ["é", "aé", "猫", "a"])
def test_bytes_say_what_their_text_does(phrase: str, text: str, cuts: list[int]) -> None:
    """An included phrase is never found where it is not; an avoided one always where it is."""
    data = text.encode()
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    pieces = [data[a:b] for a, b in itertools.pairwise(places)]
    answers = {}
    for sure in (True, False):
        reader = PhraseReader([Phrase.of(phrase, 1, sure=sure)])
        state, found = State(), 0
        for piece in pieces:
            for symbol in reader.symbols_of_bytes(piece):
                assert symbol in reader.symbols
                state, more = reader.step(state, symbol)
                found |= more
        answers[sure] = bool(found | reader.ended(state))
    assert answers[True] <= reads(phrase, text) <= answers[False]
    whole = all(piece.decode(errors="replace").count("\ufffd") == 0 for piece in pieces)
    if whole:
        assert answers[True] == answers[False]


def test_bits_name_the_words() -> None:
    reader = readers_of(["cat"], [["dog"], ["bed", "sofa"]])
    assert reader.find("a cat") == 1
    assert reader.find("a dog") == 2
    assert reader.find("a sofa and a bed") == 4
    assert reader.find("a dog and a cat on a bed") == 7
