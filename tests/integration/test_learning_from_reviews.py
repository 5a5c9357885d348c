"""The whole way: caption, review, accept, calibrate on the reviews, train on them."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path

import pytest

from capgen.captioning.confidence.calibration_file import Calibration
from capgen.cli.main import main
from capgen.data.dataset import open_dataset
from capgen.models.folder import CALIBRATION_FILE
from capgen.paths import bundled_model_dir
from capgen.records import Caption, Review
from capgen.reviews.journal import Decision, ImageKey, ReviewJournal, reviews_path
from capgen.reviews.reviewed_records import read_records
from capgen.reviews.sampling import sample_order
from tests.fakes import draw_image
from tests.unit.reviews.made import caption

pytestmark = pytest.mark.usefixtures("handlers_put_back")


def write(path: Path, records: list[Caption]) -> Path:
    path.write_text("".join(json.dumps(record.to_dict()) + "\n" for record in records))
    return path


def review(path: Path, count: int, right_from: float) -> None:
    """Review the first of the random order; captions are right from a confidence on."""
    records = read_records(path)
    decisions = []
    for place in sample_order(records)[:count]:
        record = records[place]
        assert isinstance(record, Caption)
        good = (record.confidence or 0) >= right_from
        text = record.text if good else f"a person wrote {place}"
        verdict = "accepted" if good else "edited"
        made = Review(verdict=verdict, proposed=record.text, caption=text, by="ann")
        decisions.append(Decision(ImageKey.of(record), made))
    journal = ReviewJournal(reviews_path(path))
    journal.add(decisions)
    journal.close()


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """400 records whose confidence tells right from wrong."""
    path = tmp_path / "captions.jsonl"
    write(path, [caption(number, (number + 0.5) / 400) for number in range(400)])
    review(path, 150, right_from=0.3)
    return path


def test_accept_command(many: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    journal = reviews_path(many).read_bytes()
    assert main(["accept", str(many), "-o", str(tmp_path / "accepted.jsonl")]) == 0
    printed = capsys.readouterr()
    assert "random sample: 150 reviews (the random order)" in printed.out
    assert "promise: with probability 0.95, at most 0.1 of them are wrong" in printed.out
    assert "expected calibration error (ECE)" in printed.out
    assert "75 more reviews in random order would accept about " in printed.out
    assert "settled on the number of reviews before" in printed.err
    assert main(["accept", str(many), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    accepted = read_records(tmp_path / "accepted.jsonl")
    assert len(accepted) == found["accepted"] > 50
    assert all((one.confidence or 0) >= found["threshold"] for one in accepted)
    assert all(isinstance(one, Caption) and one.review is None for one in accepted)
    program, *command = shlex.split(found["command"])
    assert program == "capgen"
    assert command[:4] == ["apply", str(many), "--min-confidence", str(found["threshold"])]
    assert main([*command, "--dry-run"]) != 2  # it can be run as it is printed
    assert reviews_path(many).read_bytes() == journal  # a machine decides nothing


def test_accept_refuses(many: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["accept", str(many), "--at-most-wrong", "0.01"]) == 1
    printed = capsys.readouterr()
    assert printed.out == "" and "At least " in printed.err and "hint: " in printed.err
    assert main(["accept", str(many), "--at-most-wrong", "0"]) == 2
    assert main(["accept", str(many), "--sure", "1"]) == 2
    for taken in (many, reviews_path(many)):
        before = taken.read_bytes()
        assert main(["accept", str(many), "-o", str(taken)]) == 2
        assert taken.read_bytes() == before
    assert main(["accept", str(tmp_path / "none.jsonl")]) == 1
    assert "Cannot read" in capsys.readouterr().err


def test_captions_to_a_calibration_and_a_data_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    model = shutil.copytree(bundled_model_dir(), tmp_path / "model")
    Path("photos").mkdir()
    for number in range(90):
        draw_image(number, (96, 80)).save(f"photos/{number}.jpg")
    command = ["caption", "photos", "--model", "model", "--scores", "-o", "captions.jsonl"]
    assert main(command) == 0
    path = Path("captions.jsonl")
    before = [one.confidence or 0.0 for one in read_records(path)]
    review(path, 80, right_from=sorted(before)[45])
    capsys.readouterr()

    fit = ["calibrate", "model", "--reviews", "captions.jsonl", "--drawn", "20"]
    assert main(fit) == 0
    printed = capsys.readouterr()
    assert "good: right (as reviewed)" in printed.out and "METEOR" not in printed.out
    assert "the more confident half is right" in printed.out
    assert "--skip" in printed.err
    fits = Calibration.read(model / CALIBRATION_FILE).fits
    assert [one.definition["metric"] for one in fits].count("reviews") == 1
    assert len(fits) > 1  # those for other settings stay
    assert main([*fit, "--dataset", "flickr8k"]) == 2
    assert main([*fit, "--threshold", "0.3"]) == 2
    assert main([*fit, "--limit", "20"]) == 1
    assert main([*fit[:4], "-o", "captions.jsonl"]) == 2

    # Captioning again gives the new confidence, and the reviews stay.
    assert main(command) == 0
    assert [one.confidence or 0.0 for one in read_records(path)] != before
    capsys.readouterr()
    assert main(["data", "import", "captions.jsonl", "--name", "corrected"]) == 0
    dataset = open_dataset("corrected", None)
    assert dataset.reviews is not None and dataset.reviews["by"] == {"ann": 80}
    assert len(dataset.examples) == 80 and dataset.counts["val"] == 8


@pytest.mark.slow
def test_training_on_corrections(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command of docs/datasets.md, with settings that make it short."""
    monkeypatch.chdir(tmp_path)
    records = []
    for number in range(12):
        image = f"{number}.jpg"
        draw_image(number, (96, 80)).save(image)
        records.append(caption(number, 0.5, text=f"a dog runs on the grass {number}"))
    write(tmp_path / "captions.jsonl", records)
    review(tmp_path / "captions.jsonl", 12, right_from=0)
    assert main(["data", "import", "captions.jsonl", "--name", "corrected"]) == 0
    short = ["--num-epochs", "1", "--image-size", "64", "--batch-size", "4", "--no-test"]
    command = ["train", "--init", "mini", "--dataset", "corrected", "--name", "better", *short]
    assert main(command) == 0
    assert main(["caption", "0.jpg", "--model", "better/best-eval"]) == 0
