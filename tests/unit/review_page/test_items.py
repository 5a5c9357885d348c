"""The records of a review."""

from __future__ import annotations

from pathlib import Path

import pytest

from capgen.errors import DataError
from capgen.records import Caption, CaptionFailure, Concept, Token
from capgen.review_page.items import items_of, read_items
from capgen.reviews.sampling import sample_order
from tests.fakes import write_records
from tests.unit.reviews.made import caption, review


def test_an_item_has_the_whole_record() -> None:
    tokens = (Token(id=3, text="a", log_probability=-0.1),)
    record = Caption(
        path="a.jpg",
        text="a",
        log_probability=-0.1,
        score=-0.1,
        tokens=tokens,
        concepts=(Concept("dog", 0.5),),
        review=review("edited", "a", "an"),
    )
    failure = CaptionFailure(path="b.jpg", code="missing", message="gone")
    items = items_of([record, failure])
    assert [items.by_id[number].record for number in (0, 1)] == [record, failure]
    assert (items.by_id[0].proposed, items.by_id[1].proposed) == ("an", None)
    assert items.by_id[1].error == "missing"


def test_broken_lines_have_no_item_but_keep_their_place(tmp_path: Path) -> None:
    path = tmp_path / "captions.jsonl"
    write_records(path, [caption(0), caption(1)])
    first, second = path.read_text().splitlines()
    path.write_text(f"{first}\nno record\n{second}\n")
    items = read_items(path)
    assert list(items.by_id) == [0, 2]
    assert items.malformed == 1
    assert sorted(items.sample) == [0, 2]


def test_the_sample_is_that_of_the_records() -> None:
    records = [caption(number) for number in range(30)]
    assert items_of(records).sample == sample_order(records)


def test_a_file_without_records_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "captions.jsonl"
    path.write_text("no record\n")
    with pytest.raises(DataError):
        read_items(path)
