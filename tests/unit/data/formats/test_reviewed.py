"""Data sets of the captions that people accepted or wrote."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from capgen.cli.main import main
from capgen.data.dataset import load_dataset, open_dataset
from capgen.data.events import Finished, Notice
from capgen.data.formats import recognise
from capgen.data.formats.reading import ReadOptions
from capgen.data.import_set import import_dataset
from capgen.digests import file_digest
from capgen.errors import DataError, UsageError
from capgen.records import Caption, CaptionFailure, Record, Review
from capgen.reviews.journal import Decision, ImageKey, ReviewJournal, reviews_path
from tests.fakes import draw_image

COUNT = 12
WRITTEN = "a person wrote this"


@pytest.fixture
def records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Records of 12 images: 5 accepted, 3 edited, 2 rejected, 2 unreviewed, and a failure."""
    monkeypatch.chdir(tmp_path)
    made: list[Record] = []
    (tmp_path / "photos").mkdir()
    for number in range(COUNT):
        image = Path("photos") / f"{number}.png"
        draw_image(number, (48, 40)).save(image)
        made.append(
            Caption(
                path=str(image),
                text=f"caption {number}",
                log_probability=-1.0,
                score=-0.1,
                sha256=file_digest(image, DataError),
                model="mini",
            )
        )
    made.append(CaptionFailure(path="photos/x.png", code="missing", message="no x.png"))
    path = tmp_path / "captions.jsonl"
    path.write_text("".join(json.dumps(record.to_dict()) + "\n" for record in made))
    verdicts = ["accepted"] * 5 + ["edited"] * 3 + ["rejected"] * 2
    decisions = []
    for record, verdict in zip(made, verdicts, strict=False):
        assert isinstance(record, Caption)
        text = WRITTEN if verdict == "edited" else record.text
        review = Review(verdict=verdict, proposed=record.text, caption=text, by="ann")
        decisions.append(Decision(ImageKey.of(record), review))
    journal = ReviewJournal(reviews_path(path))
    journal.add(decisions)
    journal.close()
    return path


def texts(path: Path | str, **options: str) -> list[str]:
    dataset = load_dataset(path, options=ReadOptions(**options))  # type: ignore[arg-type]
    return sorted(text for example in dataset.examples for text in example.references)


def test_what_people_stand_for_is_taken(records: Path) -> None:
    assert recognise(records) == "reviewed"
    expected = [*([WRITTEN] * 3), *(f"caption {number}" for number in range(5))]
    assert texts(records) == sorted(expected)
    assert texts(records, only="edited") == [WRITTEN] * 3


def test_import_tells_what_is_left_out_and_where_captions_are_from(records: Path) -> None:
    *events, finished = import_dataset(records, "mine")
    assert isinstance(finished, Finished)
    assert (finished.images, finished.captions) == (8, 8)
    assert finished.splits == {"train": 6, "val": 1, "test": 1}
    notices = [event.message for event in events if isinstance(event, Notice)]
    assert [notice.split(":")[0] for notice in notices] == [
        "caption that its source has rejected (2)",
        "caption that nobody has reviewed (2)",
        "image without captions (1)",
    ]
    dataset = open_dataset("mine", None)
    assert dataset.reviews == {
        "accepted": 5,
        "edited": 3,
        "rejected": 2,
        "unreviewed": 2,
        "by": {"ann": 10},
        "models": {"mini": 12},
    }
    assert all(example.image.is_file() for example in dataset.examples)
    assert dataset.split_source.startswith("seeded")


def test_the_command_line(records: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "import", str(records), "--name", "mine", "--only", "edited"]) == 0
    assert "caption that was accepted unchanged (5)" in capsys.readouterr().err
    assert main(["data", "info", "mine", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["reviews"]["edited"] == 3
    assert main(["data", "info", "mine"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "5 accepted, 3 edited, 2 rejected, 2 unreviewed (by ann)" in printed
    assert main(["data", "import", str(records), "--name", "two", "--only", "accepted"]) == 2
    with pytest.raises(UsageError, match="--image-column does not apply"):
        texts(records, image_column="path")


def test_records_elsewhere_than_the_images(records: Path, tmp_path: Path) -> None:
    """Paths start where captioning ran; what is outside the records' folder has to be named."""
    moved = tmp_path / "out" / "captions.jsonl"
    moved.parent.mkdir()
    records.rename(moved)
    reviews_path(records).rename(reviews_path(moved))
    with pytest.raises(DataError) as caught:
        list(import_dataset(moved, "mine"))
    assert "--images" in caught.value.hint
    options = ReadOptions(images=tmp_path / "photos")
    finished = list(import_dataset(moved, "mine", options=options))[-1]
    assert isinstance(finished, Finished) and finished.images == 8
    finished = list(import_dataset(moved, "linked", link=True))[-1]
    assert isinstance(finished, Finished) and finished.images == 8


def test_images_that_moved_are_found_by_their_folder(
    records: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "photos").rename(tmp_path / "album")
    with pytest.raises(DataError, match="has no image with a caption"):
        load_dataset(records)
    assert len(texts(records, images=tmp_path / "album")) == 8  # type: ignore[arg-type]


def test_equal_names_in_two_folders_are_two_images(records: Path) -> None:
    lines = records.read_text().splitlines()
    Path("more").mkdir()
    draw_image(99, (48, 40)).save("more/0.png")
    other = dataclasses.replace(
        Caption.from_dict(json.loads(lines[0])),
        path="more/0.png",
        sha256="ab",
        review=Review(verdict="accepted", proposed="another", caption="another"),
        text="another",
    )
    records.write_text("\n".join([*lines, json.dumps(other.to_dict())]) + "\n")
    dataset = load_dataset(records)
    by_id = {example.image_id: example.references for example in dataset.examples}
    assert by_id["0.png"] == ("caption 0",)
    assert next(v for k, v in by_id.items() if k.endswith("more/0.png")) == ("another",)


def test_reviews_within_the_records_are_recognised(records: Path) -> None:
    """As in a gallery's export, and in records that hold their reviews."""
    reviews_path(records).unlink()
    assert recognise(records) == "table"  # captions of a model, as before
    first = json.loads(records.read_text().splitlines()[0])
    exported = {"path": first["path"], "caption": WRITTEN, "original": "caption 0"}
    records.write_text(json.dumps(exported, separators=(",", ":")) + "\n")
    assert recognise(records) == "reviewed" and texts(records) == [WRITTEN]
    records.write_text(json.dumps({**first, "review": {"verdict": "accepted", "proposed": "x"}}))
    assert recognise(records) == "reviewed" and texts(records) == ["caption 0"]


def test_nothing_reviewed_is_refused(records: Path) -> None:
    reviews_path(records).unlink()
    with pytest.raises(DataError, match="no caption that a person accepted or wrote") as caught:
        texts(records, format="reviewed")
    assert "capgen review" in caught.value.hint


def test_a_broken_line_stops_reading(records: Path) -> None:
    with records.open("a") as file:
        file.write('{"path": \n')
    with pytest.raises(DataError, match=r"captions\.jsonl:14: not JSON"):
        load_dataset(records)
