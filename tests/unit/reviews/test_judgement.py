from __future__ import annotations

import dataclasses

import pytest

from capgen.records import CaptionFailure
from capgen.reviews.journal import Decision, ImageKey, Reviews
from capgen.reviews.judgement import is_right, judgements, same_words
from tests.unit.reviews.made import caption, review


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("a dog runs", "A dog runs."),
        ("a teddy bear, on a bed", "A teddy bear on a  bed"),
        ("a t-shirt", "a t shirt"),
        ("caf\u00e9", "cafe\u0301"),
        ("it's a dog", "It\u2019s a dog!"),
    ],
)
def test_case_punctuation_and_spaces_do_not_count(first: str, second: str) -> None:
    assert same_words(first, second)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("a dog runs", "a dog ran"),
        ("2 dogs", "3 dogs"),
        # Vowel signs are neither letters nor punctuation.
        ("\u0915\u093f", "\u0915\u0940"),
        ("a cafe", "a caf\u00e9"),
    ],
)
def test_words_count(first: str, second: str) -> None:
    assert not same_words(first, second)


@pytest.mark.parametrize(
    ("verdict", "text", "right"),
    [
        ("accepted", "a dog runs", True),
        ("edited", "A dog runs.", True),
        ("edited", "a cat runs", False),
        ("rejected", "a dog runs", False),
    ],
)
def test_what_is_right(verdict: str, text: str, right: bool) -> None:
    assert is_right("a dog runs", review(verdict, text)) is right


def test_a_review_of_another_caption_says_little() -> None:
    """As after captioning again with another model."""
    assert is_right("a cat runs", review("edited", "a cat runs")) is True
    assert is_right("a horse runs", review("edited", "a cat runs")) is None
    assert is_right("a horse runs", review("rejected")) is None
    assert is_right("a dog runs", review("rejected", proposed="a wolf runs")) is None


def test_reviews_in_the_journal_and_in_the_records() -> None:
    failed = CaptionFailure(path="x.jpg", code="truncated", message="x.jpg is truncated")
    within = dataclasses.replace(
        caption(1, text="a cat runs"), review=review("edited", "a cat runs")
    )
    records = [caption(0), within, caption(2), failed]
    wrote = review("edited", "a house")
    reviews = Reviews(
        [
            Decision(ImageKey.of(caption(2)), review("rejected")),
            Decision(ImageKey.of(failed), dataclasses.replace(wrote, proposed=None)),
        ]
    )
    found = judgements(records, reviews)
    assert [one.right for one in found] == [None, False, False, None]
    assert [one.review and one.review.verdict for one in found] == [
        *(None, "edited", "rejected", "edited")
    ]
    assert [one.record for one in found] == records
