"""Stems and synonyms."""

from __future__ import annotations

import pytest

from capgen.metrics.meteor_1_5.words import EXACT, STEM, SYNONYM, Vocabulary
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
    vocabulary = Vocabulary(LISTS)
    first, second = vocabulary.numbers([word, other])
    assert vocabulary.matchers(first, second) == matchers
    assert vocabulary.matchers(second, first) == matchers
    assert (
        (second in vocabulary.near[first]) == (first in vocabulary.near[second]) == bool(matchers)
    )


def test_words_are_numbered_once() -> None:
    vocabulary = Vocabulary(LISTS)
    assert vocabulary.numbers(["the", "dog", "the"]) == [0, 1, 0]
    assert vocabulary.numbers(["dogs", "dog"]) == [2, 1]
    assert vocabulary.near == [{0}, {1, 2}, {1, 2}]


def test_function_words() -> None:
    vocabulary = Vocabulary(LISTS)
    vocabulary.numbers(["the", "dog"])
    assert vocabulary.is_function == [True, False]
