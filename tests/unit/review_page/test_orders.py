"""Orders of the list: most gained, most alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from capgen.records import CaptionFailure, Concept
from capgen.review_page.changes import Change
from capgen.review_page.items import items_of
from capgen.review_page.orders import Likeness, by_gain
from capgen.review_page.session import ReviewSession
from capgen.reviews.journal import ReviewJournal
from tests.unit.reviews.made import caption


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[ReviewJournal]:
    made = ReviewJournal(tmp_path / "captions.jsonl.reviews")
    yield made
    made.close()


def test_most_is_gained_where_many_doubtful_captions_are_the_same(journal: ReviewJournal) -> None:
    records = [
        caption(0, 0.1, "a giraffe"),  # gains 0.9
        caption(1, 0.7, "a man"),  # 0.3 × 1, after the two others with its caption
        caption(2, 0.4, "a man"),  # 0.6 × 3
        caption(3, 0.5, "A  man"),  # 0.5 × 2
        caption(4, None, "a kite"),  # 0.5: unknown
        CaptionFailure(path="f.jpg", code="empty", message="", sha256="f"),  # 0.5
    ]
    session = ReviewSession(items_of(records), journal, "ann")
    assert by_gain(session) == [2, 3, 0, 4, 5, 1]
    session.decide("one", [Change(2, 0, "accepted")])
    # The others with its caption: 3 gains 0.5 × 2, and 1 gains 0.3; what is reviewed is last.
    assert by_gain(session) == [3, 0, 4, 5, 1, 2]


def test_alike_is_what_shares_rare_words_and_concepts() -> None:
    giraffe = (Concept("giraffe", 0.9), Concept("grass", 0.3))
    records = [
        caption(0, text="a man riding a horse"),
        caption(1, text="a giraffe standing in the grass"),
        replace(caption(2, text="a man standing in a field"), concepts=giraffe),
        caption(3, text="a man riding a bike"),
        caption(4, text="a man standing by a car"),
        CaptionFailure(path="f.jpg", code="empty", message=""),
    ]
    likeness = Likeness(items_of(records).by_id)
    assert likeness.order(1)[:2] == [1, 2]
    assert likeness.order(0)[:2] == [0, 3]
    assert sorted(likeness.order(5)) == list(range(6))
    assert likeness.order(5)[0] == 5


def test_one_image_is_like_itself() -> None:
    assert Likeness(items_of([caption(0)]).by_id).order(0) == [0]
