"""Captions that say the same, and the choice of those that do not."""

from __future__ import annotations

import pytest

from capgen.captioning.diversity import choose, meaning, overlap


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("a dog runs", "The dog is running."),
        ("a man rides a bike", "the man is riding a bicycle"),
        ("two children on grass", "two kids in the grass"),
        ("", "it is the"),
    ],
)
def test_the_same_in_other_words(first: str, second: str) -> None:
    assert overlap(meaning(first), meaning(second)) == 1.0


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("a dog runs", "a dog plays"),
        ("a dog runs", "a brown dog runs"),
        ("a boy jumps", "a girl jumps"),
        ("a dog", ""),
    ],
)
def test_something_else(first: str, second: str) -> None:
    one, other = meaning(first), meaning(second)
    assert overlap(one, other) == overlap(other, one) < 1


def test_the_choice_trades_score_for_difference() -> None:
    said = ["a dog runs", "the dog runs", "a dog jumps", "a man sits"]
    meanings = [meaning(text) for text in said]
    scores = [-0.5, -0.5, -0.6, -1.2]
    assert choose(meanings, scores, 2, penalty=0.1) == [0, 2]
    assert choose(meanings, scores, 2, penalty=2.0) == [0, 3]
    # What says the same again comes last, however likely.
    assert choose(meanings, scores, 4, penalty=0.1) == [0, 2, 3, 1]
    assert choose(meanings, scores, 9) == choose(meanings, scores, 4)
    assert choose([], [], 3) == []
