"""Captions that a person changed in a table."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from capgen.captioning.batch.journal import journal_path
from capgen.output.formats import open_format
from capgen.records import Caption, Review
from capgen.reviews.journal import (
    Decision,
    ImageKey,
    ReviewJournal,
    read_reviews,
    reviews_path,
)
from capgen.reviews.keep_edits import keep_edits
from capgen.reviews.reviewed_records import read_records, read_reviewed

PROPOSED = [
    Caption(path=f"{name}.jpg", text=f"a {name}", score=None, log_probability=None, sha256=name)
    for name in ("dog", "cat", "cow")
]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Return a table that a run wrote, and a person changed."""
    path = tmp_path / "c.csv"
    for file, form in ((path, "csv"), (journal_path(path), "jsonl")):
        with open_format(file, form) as write:
            for record in PROPOSED:
                write(record, None)
    change(path, "a cat,", "Minka,")
    return path


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def reviews(path: Path) -> list[tuple[str, str, str | None] | None]:
    """Return the verdicts on records, with what was written and what was proposed."""
    found = []
    for record in read_reviewed(path):
        assert isinstance(record, Caption)
        review = record.review
        found.append(review and (review.verdict, record.text, review.proposed))
    return found


def test_the_journal_tells_what_was_changed(table: Path) -> None:
    assert reviews(table) == [None, ("edited", "Minka", "a cat"), None]
    journal_path(table).unlink()
    assert reviews(table) == [None, None, None]


def test_changes_stay_when_the_table_is_written_again(table: Path) -> None:
    assert keep_edits(table) == 1
    assert keep_edits(table) == 0  # once
    with open_format(table, "csv") as write:
        for record in PROPOSED:
            write(record, None)
    assert reviews(table)[1] == ("edited", "Minka", "a cat")
    review = read_reviews(reviews_path(table)).find(PROPOSED[1])
    assert review is not None and review.at  # when it was found


def test_the_latest_change_counts(table: Path) -> None:
    keep_edits(table)
    change(table, "Minka,", "Minka and Mo,")
    assert reviews(table)[1] == ("edited", "Minka and Mo", "a cat")
    assert keep_edits(table) == 1
    assert reviews(table)[1] == ("edited", "Minka and Mo", "a cat")
    # What the table has of a decision itself does not hide a later one.
    with open_format(table, "csv", reviewed=True) as write:
        for record in read_reviewed(table):
            write(record, None)
    change(table, "Minka and Mo,", "Mo,")
    assert reviews(table)[1] == ("edited", "Mo", "a cat")


def test_nothing_is_kept_of_what_no_run_wrote(tmp_path: Path, table: Path) -> None:
    assert keep_edits(tmp_path / "none.csv") == 0
    journal_path(table).unlink()
    assert keep_edits(table) == 0
    journal_path(table).write_bytes(b"")
    table.write_text("nonsense\n")
    assert keep_edits(table) == 0
    assert not reviews_path(table).exists()


def test_another_run_proposes_something_else(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    first = replace(PROPOSED[0], model="mini", settings={"beams": 3})
    for file, form, record in (
        (path, "csv", first),
        # A run with other settings that was interrupted.
        (journal_path(path), "jsonl", replace(first, text="a hound", settings={"beams": 5})),
    ):
        with open_format(file, form) as write:
            write(record, None)
    assert reviews(path) == [None]
    path.write_text("path,caption\ndog.jpg,mine\n")
    assert reviews(path) == [("edited", "mine", "a hound")]


def test_a_verdict_column_is_a_decision(table: Path) -> None:
    text = table.read_text(encoding="utf-8").splitlines()
    lines = [
        f"{text[0]},verdict",
        *(f"{line},{v}" for line, v in zip(text[1:], "nyn", strict=True)),
    ]
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    record = read_records(table)[0]
    assert isinstance(record, Caption)
    assert record.review == Review(verdict="rejected", proposed="a dog", caption="a dog")
    assert keep_edits(table) == 3


def test_a_decision_after_the_table_was_written_counts(table: Path) -> None:
    keep_edits(table)
    with open_format(table, "csv", reviewed=True) as write:
        for record in read_reviewed(table):
            write(record, None)
    later = Review(verdict="rejected", proposed="a cat", caption="a cat", at="2099-01-01")
    journal = ReviewJournal(reviews_path(table))
    journal.add([Decision(ImageKey.of(PROPOSED[1]), later)])
    journal.close()
    assert reviews(table)[1] == ("rejected", "a cat", "a cat")
    assert keep_edits(table) == 0
    # A verdict that is changed in the table itself is later than the one it was written with.
    with open_format(table, "csv", reviewed=True) as write:
        for record in read_reviewed(table):
            write(record, None)
    change(table, "rejected,", "accepted,")
    assert reviews(table)[1] == ("accepted", "a cat", "a cat")
    assert keep_edits(table) == 1


def test_what_was_taken_back_does_not_return(table: Path) -> None:
    keep_edits(table)
    journal = ReviewJournal(reviews_path(table))
    journal.add([Decision(ImageKey.of(PROPOSED[1]), None)])
    journal.close()
    assert keep_edits(table) == 0
    assert reviews(table) == [None, None, None]
