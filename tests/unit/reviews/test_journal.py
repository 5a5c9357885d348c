"""The journal of decisions: what is saved stays, whoever is killed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from capgen.errors import ProtectedFileError, StorageError
from capgen.paths import writing
from capgen.records import Caption, CaptionFailure, Review
from capgen.reviews.journal import (
    Decision,
    ImageKey,
    ReviewJournal,
    Reviews,
    read_reviews,
    reviews_path,
)
from capgen.reviews.reviewed_records import read_reviewed, with_review


def record(path: str | None = "a.jpg", text: str = "a dog", sha256: str | None = "1") -> Caption:
    return Caption(path=path, text=text, sha256=sha256, log_probability=-1.0, score=-0.5)


def edited(text: str, *, proposed: str | None = "a dog") -> Review:
    at = "2026-11-27T00:00:00.000+00:00"
    return Review(verdict="edited", proposed=proposed, caption=text, by="ann", at=at)


ACCEPTED = Review(verdict="accepted", proposed="a dog", caption="a dog")
REJECTED = Review(verdict="rejected", proposed="a dog", caption="a dog")


def test_decisions_are_read_again(tmp_path: Path) -> None:
    path = tmp_path / "captions.jsonl.reviews"
    journal = ReviewJournal(path)
    journal.add([Decision(ImageKey.of(record()), edited("a cat\n\u2028"))])
    journal.add([Decision(ImageKey("b.jpg", None), ACCEPTED)])
    journal.close()
    found = read_reviews(path)
    assert found.find(record()) == edited("a cat\n\u2028")
    assert found.find(record("b.jpg", sha256=None)) == ACCEPTED
    assert found.find(record("c.jpg", sha256="3")) is None


def test_the_last_decision_counts_and_can_be_taken_back(tmp_path: Path) -> None:
    journal = ReviewJournal(tmp_path / "x.reviews")
    key = ImageKey.of(record())
    for review in (ACCEPTED, edited("a cat"), None):
        journal.add([Decision(key, review)])
    assert journal.reviews.find(record()) is None
    assert journal.reviews.version(key) == 3
    journal.close()
    again = ReviewJournal(tmp_path / "x.reviews")
    assert again.reviews.find(record()) is None
    assert again.reviews.version(key) == 3
    again.close()


def test_half_a_line_is_cut_off_and_damaged_lines_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "x.reviews"
    journal = ReviewJournal(path)
    journal.add([Decision(ImageKey.of(record()), ACCEPTED)])
    journal.close()
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"kind": "capgen-review"}\n' + whole[:40])
    again = ReviewJournal(path)
    again.add([Decision(ImageKey("b.jpg", "2"), edited("two"))])
    again.close()
    lines = path.read_bytes().splitlines()
    assert [json.loads(line).get("path") for line in lines] == ["a.jpg", None, "b.jpg"]
    assert read_reviews(path).find(record()) == ACCEPTED


def test_one_process_at_a_time(tmp_path: Path) -> None:
    journal = ReviewJournal(tmp_path / "x.reviews")
    with pytest.raises(StorageError, match="Another process is writing"):
        ReviewJournal(tmp_path / "x.reviews")
    journal.close()
    ReviewJournal(tmp_path / "x.reviews").close()


def test_an_empty_journal_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "x.reviews"
    ReviewJournal(path).close()
    assert not path.exists()
    assert read_reviews(path).find(record()) is None


@pytest.mark.parametrize("replaced", [False, True])
def test_nothing_is_saved_into_a_file_that_is_gone(tmp_path: Path, replaced: bool) -> None:
    path = tmp_path / "x.reviews"
    journal = ReviewJournal(path)
    journal.add([Decision(ImageKey.of(record()), ACCEPTED)])
    path.unlink()
    if replaced:
        path.write_text("another file")
    with pytest.raises(StorageError, match="removed or replaced"):
        journal.add([Decision(ImageKey.of(record()), edited("lost"))])
    assert journal.reviews.find(record()) == ACCEPTED
    journal.close()
    assert path.exists() == replaced


def test_closing_an_empty_journal_leaves_the_file_that_took_its_place(tmp_path: Path) -> None:
    path = tmp_path / "x.reviews"
    journal = ReviewJournal(path)
    path.unlink()
    path.write_text("another file")
    journal.close()
    assert path.read_text() == "another file"


def test_no_output_replaces_a_journal_and_no_journal_another_file(tmp_path: Path) -> None:
    from capgen.overwriting import TEXT_OR_DATA, check_output

    path = tmp_path / "x.jsonl"
    journal = ReviewJournal(path)
    journal.add([Decision(ImageKey.of(record()), ACCEPTED)])
    journal.close()
    with pytest.raises(ProtectedFileError, match="a journal of reviews"):
        check_output(path, TEXT_OR_DATA)
    notes = tmp_path / "notes.txt"
    with writing(notes) as temporary:
        temporary.write_text("my notes")
    with pytest.raises(ProtectedFileError):
        ReviewJournal(notes)
    assert notes.read_text() == "my notes"


def test_what_could_not_be_written_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.reviews"
    journal = ReviewJournal(path)
    journal.add([Decision(ImageKey.of(record()), ACCEPTED)])

    def full(number: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("capgen.reviews.journal.os.fsync", full)
    with pytest.raises(StorageError):
        journal.add([Decision(ImageKey.of(record()), edited("lost"))])
    monkeypatch.undo()
    assert journal.reviews.find(record()) == ACCEPTED
    journal.close()
    assert read_reviews(path).find(record()) == ACCEPTED
    assert len(path.read_bytes().splitlines()) == 1


def test_decisions_follow_renamed_images_but_not_other_captions() -> None:
    reviews = Reviews([Decision(ImageKey("a.jpg", "1"), edited("a cat"))])
    assert reviews.find(record("renamed.jpg")) == edited("a cat")
    assert reviews.find(record("renamed.jpg", text="a bird")) is None
    # The person saw this very image: what they wrote stays, whatever a model says now.
    assert reviews.find(record(text="a bird")) == edited("a cat")
    # Another image under the old name.
    assert reviews.find(record("a.jpg", sha256="2")) is None


def test_records_get_the_text_of_the_decision(tmp_path: Path) -> None:
    path = tmp_path / "captions.jsonl"
    failure = CaptionFailure(path="b.jpg", code="low_confidence", message="unsure", sha256="2")
    records = [record(), failure, record("c.jpg", "a bus", "3")]
    path.write_text("".join(json.dumps(item.to_dict()) + "\n" for item in records))
    journal = ReviewJournal(reviews_path(path))
    journal.add([Decision(ImageKey("a.jpg", "1"), edited("a cat"))])
    journal.add([Decision(ImageKey("b.jpg", "2"), edited("a boat", proposed=None))])
    journal.add([Decision(ImageKey("c.jpg", "3"), REJECTED)])
    journal.close()
    first, second, third = read_reviewed(path)
    assert isinstance(first, Caption) and isinstance(second, Caption)
    assert isinstance(third, Caption) and third.review is not None
    assert (first.text, second.text) == ("a cat", "a boat")
    assert first.review is not None and first.review.proposed == "a dog"
    assert not third.review.kept
    assert Caption.from_dict(json.loads(json.dumps(first.to_dict()))) == first


def test_a_rejected_image_without_a_caption_stays_without() -> None:
    failure = CaptionFailure(path="b.jpg", code="unreadable", message="broken")
    assert with_review(failure, REJECTED) is failure


def test_an_edited_line_of_a_galleries_export_is_an_edit() -> None:
    line = {"schema_version": 1, "path": "a.jpg", "caption": "new", "original": "old"}
    caption = Caption.from_dict(line)
    assert caption.review == Review(verdict="edited", proposed="old", caption="new")


def test_taking_a_decision_back_holds_for_a_copy_of_the_image_too() -> None:
    original, copy = record(), record("copy.jpg")
    reviews = Reviews([Decision(ImageKey.of(original), ACCEPTED)])
    assert reviews.find(copy) == ACCEPTED
    reviews.add(Decision(ImageKey.of(original), None))
    assert reviews.find(copy) is None
    assert [decision.review for decision in reviews.history(ImageKey.of(copy))] == [ACCEPTED, None]
    assert reviews.version(ImageKey.of(copy)) == 2


def test_a_copy_keeps_the_decision_about_another_copy_when_one_is_taken_back() -> None:
    first, second, third = (record(f"{number}.jpg") for number in range(3))
    reviews = Reviews(
        [
            Decision(ImageKey.of(first), edited("a cat")),
            Decision(ImageKey.of(second), ACCEPTED),
            Decision(ImageKey.of(second), None),
        ]
    )
    assert reviews.find(third) == edited("a cat")
