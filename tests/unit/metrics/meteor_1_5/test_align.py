"""Alignments; the expected ones are those that the official program wrote."""

from __future__ import annotations

import pytest

from capgen.metrics.meteor_1_5.align import align
from capgen.metrics.meteor_1_5.matches import Match
from capgen.metrics.meteor_1_5.words import EXACT, PARAPHRASE, STEM, SYNONYM


def equal_words(caption: list[str], reference: list[str]) -> list[list[Match]]:
    return [
        [Match(n, 1, m, 1, EXACT) for m, other in enumerate(caption) if other == word]
        for n, word in enumerate(reference)
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
    assert [(match.start, match.caption_start) for match in matches] == expected


def test_chunks() -> None:
    words = "a b c d".split()  # noqa: SIM905
    assert align(equal_words(words, words), 4).chunks == 1
    assert align(equal_words(words, "c d a b".split()), 4).chunks == 2  # noqa: SIM905
    assert align(equal_words(words, "a x b c".split()), 4).chunks == 2  # noqa: SIM905


def test_a_stem_that_is_a_synonym_too_must_not_begin_a_chunk() -> None:
    """`dogs` against `dog`: the two matches compete, and either covers nothing."""
    twice = [Match(0, 1, 0, 1, STEM), Match(0, 1, 0, 1, SYNONYM)]
    assert align([twice], 1).matches == []
    assert align([twice[:1]], 1).matches == twice[:1]
    after = [Match(1, 1, 1, 1, STEM), Match(1, 1, 1, 1, SYNONYM)]
    first = Match(0, 1, 0, 1, EXACT)
    assert align([[first], after], 2).matches == [first, after[0]]


def test_a_paraphrase_of_two_words_covers_one() -> None:
    twice = [Match(0, 2, 0, 1, PARAPHRASE)] * 2
    assert align([twice, []], 1).matches == twice[:1]
    assert align([[Match(0, 1, 0, 1, PARAPHRASE)] * 2], 1).matches == []


def test_the_beam_is_narrow() -> None:
    """More than 40 partial alignments: the best ones are kept, and the search stays short."""
    words = ["a"] * 60
    alignment = align(equal_words(words, words), 60)
    assert len(alignment.matches) == 60
    assert alignment.chunks == 1
