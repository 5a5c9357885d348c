"""Alignments; the expected ones are those that the official program wrote."""

from __future__ import annotations

import random

import pytest

from capgen.metrics.meteor_1_5.align import align
from capgen.metrics.meteor_1_5.matches import Match
from capgen.metrics.meteor_1_5.words import EXACT, PARAPHRASE, STEM, SYNONYM
from tests.unit.metrics.meteor_1_5.plain_search import plain_search


def equal_words(caption: list[str], reference: list[str]) -> list[list[Match]]:
    return [
        [Match(1, m, 1, EXACT) for m, other in enumerate(caption) if other == word]
        for word in reference
    ]


@pytest.mark.parametrize(
    ("caption", "reference", "expected"),
    [
        ("a", "a a", [(1, 0)]),
        ("a", "a a a", [(1, 0)]),
        ("a", "x a a", [(1, 0)]),
        ("y a", "x a a a", [(2, 1)]),
        ("a a", "a", [(0, 0)]),
        ("a a", "b a", [(1, 0)]),
        ("a b", "a b a b", [(2, 0), (3, 1)]),
        ("a b", "x a b a b", [(1, 0), (2, 1)]),
        ("a a", "a a a", [(0, 0), (1, 1)]),
        ("a b", "a x b a b", [(3, 0), (4, 1)]),
        ("a b", "a x b a y b", [(2, 1), (3, 0)]),
        ("a p a", "a r a s a", [(0, 0), (4, 2)]),
        ("b q a q", "b r a a a q", [(0, 0), (4, 2), (5, 3)]),
        ("x y", "y x", [(0, 1), (1, 0)]),
        ("x", "y", []),
    ],
)
def test_equal_words(caption: str, reference: str, expected: list[tuple[int, int]]) -> None:
    words = caption.split()
    matches = align(equal_words(words, reference.split()), len(words)).matches
    assert [(start, match.caption_start) for start, match in matches] == expected


def test_chunks() -> None:
    words = "a b c d".split()  # noqa: SIM905
    assert align(equal_words(words, words), 4).chunks == 1
    assert align(equal_words(words, "c d a b".split()), 4).chunks == 2  # noqa: SIM905
    assert align(equal_words(words, "a x b c".split()), 4).chunks == 2  # noqa: SIM905


def test_a_stem_that_is_a_synonym_too_must_not_begin_a_chunk() -> None:
    """`dogs` against `dog`: the two matches compete, and either covers nothing."""
    twice = [Match(1, 0, 1, STEM), Match(1, 0, 1, SYNONYM)]
    assert align([twice], 1).matches == []
    assert align([twice[:1]], 1).matches == [(0, twice[0])]
    after = [Match(1, 1, 1, STEM), Match(1, 1, 1, SYNONYM)]
    first = Match(1, 0, 1, EXACT)
    assert align([[first], after], 2).matches == [(0, first), (1, after[0])]


def test_a_paraphrase_of_two_words_covers_one() -> None:
    twice = [Match(2, 0, 1, PARAPHRASE)] * 2
    assert align([twice, []], 1).matches == [(0, twice[0])]
    assert align([[Match(1, 0, 1, PARAPHRASE)] * 2], 1).matches == []


def test_the_beam_is_narrow() -> None:
    """More than 40 partial alignments: the best ones are kept, and the search stays short."""
    words = ["a"] * 60
    alignment = align(equal_words(words, words), 60)
    assert len(alignment.matches) == 60
    assert alignment.chunks == 1


@pytest.mark.parametrize("seed", range(20))
def test_the_shortcuts_change_nothing(seed: int) -> None:
    """Few and many words, in which the beam holds all alignments and in which it does not."""
    chance = random.Random(seed)
    for _ in range(50):
        options, size = random_options(chance)
        assert align(options, size).matches == plain_search(options)


def random_options(chance: random.Random) -> tuple[list[list[Match]], int]:
    """Return matches of random sentences of few words, and of random phrases."""
    kinds = "abcdefgh"[: chance.randint(2, 8)]
    caption = chance.choices(kinds, k=chance.randint(1, 12))
    options = equal_words(caption, chance.choices(kinds, k=chance.randint(1, 12)))
    for matcher in (STEM, SYNONYM):
        for start in chance.sample(range(len(options)), k=chance.randint(0, 1)):
            options[start].append(Match(1, chance.randrange(len(caption)), 1, matcher))
    for _ in range(chance.choice([0, 0, 1, 4])):
        start, place = chance.randrange(len(options)), chance.randrange(len(caption))
        size = chance.randint(1, min(3, len(options) - start))
        length = chance.randint(1, min(3, len(caption) - place))
        options[start].append(Match(size, place, length, PARAPHRASE))
    return options, len(caption)
