"""Stems and synonyms."""

from __future__ import annotations

import pytest

from capgen.metrics.meteor_1_5.words import EXACT, STEM, SYNONYM, KnownWords, Vocabulary
from tests.unit.metrics.meteor_1_5.lists import LISTS


@pytest.mark.parametrize(
    ("word", "other", "matchers"),
    [
        ("dog", "dog", (EXACT,)),
        ("dogs", "dog", (STEM, SYNONYM)),
        ("walks", "walking", (STEM,)),
        ("ran", "flows", (SYNONYM,)),
        ("geese", "goose", (SYNONYM,)),
        # The first ending that leads to a word counts: passing → passe, not pass.
        ("passing", "guide", ()),
        ("passing", "passe", (STEM, SYNONYM)),
        # Neither short words nor those in -ss lose an ending.
        ("is", "i", ()),
        ("dog", "goose", ()),
    ],
)
def test_matchers(word: str, other: str, matchers: tuple[int, ...]) -> None:
    vocabulary = Vocabulary([word, other], KnownWords(LISTS))
    number = vocabulary.number
    assert vocabulary.near[number[word]].get(number[other], ()) == matchers
    assert vocabulary.near[number[other]].get(number[word], ()) == matchers


def test_function_words() -> None:
    assert Vocabulary(["the", "dog"], KnownWords(LISTS)).is_function == [True, False]
