"""Decisions of several windows: none overwrites another's, and each takes back its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from capgen.errors import DiskFullError, UsageError
from capgen.records import Caption, CaptionFailure, Record
from capgen.review_page.changes import Change
from capgen.review_page.items import items_of
from capgen.review_page.session import ConflictError, ReviewSession
from capgen.reviews.journal import ReviewJournal, read_reviews
from capgen.reviews.reviewed_records import with_reviews
from tests.unit.reviews.made import caption, review


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[ReviewJournal]:
    made = ReviewJournal(tmp_path / "captions.jsonl.reviews")
    yield made
    made.close()


def session_of(journal: ReviewJournal, *records: Record) -> ReviewSession:
    return ReviewSession(items_of(records), journal, "ann")


@pytest.fixture
def session(journal: ReviewJournal) -> ReviewSession:
    return session_of(journal, *map(caption, range(4)))


def verdicts(session: ReviewSession) -> list[str | None]:
    return [row["verdict"] for row in session.rows()]


def edit(number: int, text: str, version: int = 0) -> Change:
    return Change(number, version, "edited", text)


def accept(number: int, version: int = 0) -> Change:
    return Change(number, version, "accepted")


def test_rows_say_what_the_list_needs(journal: ReviewJournal) -> None:
    failure = CaptionFailure(path="b.jpg", code="truncated", message="cut", sha256="b")
    session = session_of(journal, caption(0, 0.25, text="Two men on a hill"), failure)
    assert session.rows() == [
        {
            "id": 0,
            "path": "0.jpg",
            "caption": "Two men on a hill",
            "proposed": "Two men on a hill",
            "verdict": None,
            "confidence": 0.25,
            "person": True,
            "error": None,
            "missing": False,
            "version": 0,
        },
        {
            "id": 1,
            "path": "b.jpg",
            "caption": None,
            "proposed": None,
            "verdict": None,
            "confidence": None,
            "person": False,
            "error": "truncated",
            "missing": False,
            "version": 0,
        },
    ]


def test_decisions_change_rows_and_the_journal(
    session: ReviewSession, journal: ReviewJournal
) -> None:
    changes = [edit(0, "a cat"), accept(1), Change(2, 0, "rejected")]
    assert session.decide("one", changes) == [0, 1, 2]
    assert verdicts(session) == ["edited", "accepted", "rejected", None]
    assert [row["caption"] for row in session.rows()] == ["a cat", *["a dog runs"] * 3]
    saved = read_reviews(journal.path)
    found = saved.find(caption(0))
    assert found is not None and found.by == "ann" and found.at.startswith("20")
    assert session.counts() == {"accepted": 1, "edited": 1, "rejected": 1, "left": 1}
    assert [item.id for item in session.left()] == [3]


def test_a_failure_can_be_given_a_caption(journal: ReviewJournal) -> None:
    session = session_of(
        journal, CaptionFailure(path="b.jpg", code="empty", message="", sha256="b")
    )
    session.decide("one", [edit(0, "a bird")])
    (row,) = session.rows()
    assert (row["caption"], row["proposed"], row["verdict"]) == ("a bird", None, "edited")


def test_an_old_version_changes_nothing(session: ReviewSession) -> None:
    session.decide("one", [edit(1, "a cat")])
    with pytest.raises(ConflictError) as caught:
        session.decide("two", [edit(0, "a cow"), edit(1, "a horse")])
    assert caught.value.ids == [1]
    assert [row["caption"] for row in session.rows()][:2] == ["a dog runs", "a cat"]
    session.decide("two", [edit(1, "a horse", version=1)])
    assert session.rows([1])[0]["caption"] == "a horse"


@pytest.mark.parametrize("changes", [[accept(9)], [accept(0), accept(0)], [accept(0), edit(1, "")]])
def test_what_is_not_possible_changes_nothing(
    session: ReviewSession, changes: list[Change]
) -> None:
    with pytest.raises(UsageError):
        session.decide("one", changes)
    assert verdicts(session) == [None] * 4


def test_a_record_that_names_no_image_cannot_be_decided(journal: ReviewJournal) -> None:
    session = session_of(journal, replace(caption(0), path=None, sha256=None))
    with pytest.raises(UsageError, match="names no image"):
        session.decide("one", [accept(0)])


def test_undo_takes_back_a_whole_step_and_then_the_one_before(session: ReviewSession) -> None:
    session.decide("one", [edit(0, "a cat"), accept(1)])
    session.decide("one", [edit(0, "a cow", version=1), Change(2, 0, "rejected")])
    assert session.undo("one") == [0, 2]
    assert [(row["caption"], row["verdict"]) for row in session.rows([0, 2])] == [
        ("a cat", "edited"),
        ("a dog runs", None),
    ]
    assert session.undo("one") == [0, 1]
    assert verdicts(session) == [None] * 4
    assert session.rows([0])[0]["caption"] == "a dog runs"
    with pytest.raises(LookupError):
        session.undo("one")


def test_undo_restores_who_and_when(session: ReviewSession) -> None:
    session.decide("one", [accept(0)])
    before = session.review(session.item(0))
    session.by = "bob"
    session.decide("one", [edit(0, "a cat", version=1)])
    session.undo("one")
    assert session.review(session.item(0)) == before


def test_undo_is_of_the_own_window_only(session: ReviewSession) -> None:
    session.decide("one", [accept(0)])
    session.decide("two", [accept(1)])
    assert session.undo("one") == [0]
    assert verdicts(session)[:2] == [None, "accepted"]


def test_undo_overwrites_no_other_window(session: ReviewSession) -> None:
    session.decide("one", [accept(3)])
    session.decide("one", [accept(0), accept(1)])
    session.decide("two", [edit(0, "a cat", version=1)])
    with pytest.raises(ConflictError) as caught:
        session.undo("one")
    assert caught.value.ids == [0]
    assert verdicts(session) == ["edited", "accepted", None, "accepted"]
    assert session.undo("one") == [3]  # the conflict does not bar what came before


def test_a_step_before_another_windows_stays_after_an_undo(session: ReviewSession) -> None:
    """One decides, two decides, one decides again and takes that back: two's decision stays."""
    session.decide("one", [edit(0, "one")])
    session.decide("two", [edit(0, "two", version=1)])
    session.decide("one", [edit(0, "one again", version=2)])
    session.undo("one")
    assert session.rows([0])[0]["caption"] == "two"
    with pytest.raises(ConflictError):
        session.undo("one")
    assert session.rows([0])[0]["caption"] == "two"


def test_a_copy_of_an_image_changes_with_it(journal: ReviewJournal) -> None:
    copy = replace(caption(0), path="copy.jpg")
    session = session_of(journal, caption(0), copy, caption(1))
    assert session.decide("one", [edit(1, "a cat")]) == [0, 1]
    assert verdicts(session) == ["edited", "edited", None]
    with pytest.raises(ConflictError):  # the copy's row is old by now
        session.decide("two", [accept(0)])
    assert session.undo("one") == [0, 1]
    assert verdicts(session) == [None] * 3


def test_both_copies_in_one_step_can_be_taken_back(journal: ReviewJournal) -> None:
    session = session_of(journal, caption(0), replace(caption(0), path="copy.jpg"))
    session.decide("one", [accept(0), accept(1)])
    session.undo("one")
    assert verdicts(session) == [None, None]


def test_rows_of_a_table_without_hashes_go_by_path(journal: ReviewJournal) -> None:
    first, second = (replace(caption(number), sha256=None) for number in (0, 1))
    session = session_of(journal, first, second, first)
    assert session.decide("one", [accept(0)]) == [0, 2]
    assert verdicts(session) == ["accepted", None, "accepted"]


def test_reviews_in_the_file_itself_count_until_decided_anew(journal: ReviewJournal) -> None:
    given = replace(caption(0, text="a cat"), review=review("edited", "a cat"))
    session = session_of(journal, given)
    (row,) = session.rows()
    assert (row["verdict"], row["caption"], row["proposed"]) == ("edited", "a cat", "a dog runs")
    session.decide("one", [edit(0, "a cow")])
    assert session.rows()[0]["caption"] == "a cow"
    assert with_reviews([given], journal.reviews)[0].text == "a cow"  # type: ignore[union-attr]
    session.undo("one")
    assert session.rows()[0]["caption"] == "a cat"


def test_a_review_in_the_file_itself_can_be_removed(journal: ReviewJournal) -> None:
    given = replace(caption(0, text="a cat"), review=review("edited", "a cat"))
    session = session_of(journal, given)
    session.decide("one", [Change(0, 0, None)])
    (row,) = session.rows()
    assert (row["verdict"], row["caption"]) == (None, "a dog runs")
    (read,) = with_reviews([given], journal.reviews)
    assert isinstance(read, Caption) and (read.text, read.review) == ("a dog runs", None)
    session.undo("one")
    assert session.rows()[0]["verdict"] == "edited"


def test_what_was_changed_in_the_file_after_a_decision_counts(journal: ReviewJournal) -> None:
    session_of(journal, caption(0)).decide("one", [edit(0, "a cow")])
    changed = replace(caption(0, text="a horse"), review=review("edited", "a horse"))
    session = session_of(journal, changed)
    assert session.rows()[0]["caption"] == "a horse"
    session.decide("one", [edit(0, "a hen", version=1)])
    assert session.rows()[0]["caption"] == "a hen"
    assert with_reviews([changed], journal.reviews)[0].text == "a hen"  # type: ignore[union-attr]


def test_the_verdict_can_be_removed(session: ReviewSession) -> None:
    session.decide("one", [edit(0, "a cat")])
    session.decide("one", [Change(0, 1, None)])
    assert session.rows([0])[0]["caption"] == "a dog runs"
    history = session.history(session.item(0))
    assert [each and each.verdict for each in history] == ["edited", None]
    session.undo("one")
    assert session.rows([0])[0]["caption"] == "a cat"


def test_what_cannot_be_saved_does_not_count(
    session: ReviewSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.decide("one", [accept(0)])

    def full(number: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("capgen.reviews.journal.os.fsync", full)
        with pytest.raises(DiskFullError):
            session.decide("one", [edit(1, "a cat")])
        with pytest.raises(DiskFullError):
            session.undo("one")
    assert verdicts(session) == ["accepted", None, None, None]
    assert session.undo("one") == [0]
