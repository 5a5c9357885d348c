"""A new user's path, as docs/applying.md tells it: nothing is captioned twice, nothing is lost."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import capgen.captioning.batch.pipeline as pipeline
from capgen.cli.main import main
from capgen.images.metadata.write import read_captions
from capgen.records import Caption, Review
from capgen.reviews.journal import (
    Decision,
    ImageKey,
    ReviewJournal,
    reviews_path,
)
from capgen.reviews.reviewed_records import read_records
from tests.minis import draw

pytestmark = pytest.mark.usefixtures("handlers_put_back")
FIRST, LATER, CORRECTED = 12, 20, 5
Run = Callable[[str], str]


@pytest.fixture
def captioned(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the names of images that the model captions from now on."""
    names: list[str] = []
    whole = pipeline._Pipeline._made

    def made(self: Any, batch: list[Any]) -> list[Any]:
        names.extend(item.path for item in batch)
        return whole(self, batch)

    monkeypatch.setattr(pipeline._Pipeline, "_made", made)
    return names


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.chdir(tmp_path)
    Path("holiday").mkdir()
    add_images(0, FIRST)

    def command(line: str) -> str:
        code = main(line.split()[1:])
        printed = capsys.readouterr()
        assert code == 0, printed.err
        return printed.err

    return command


def add_images(first: int, count: int) -> None:
    for number in range(first, first + count):
        draw(number).save(f"holiday/{number:02}.jpg")


def corrected(number: int) -> str:
    return f"Anna {number} at the sea"


def in_image(number: int) -> set[str | None]:
    return set(read_captions(Path(f"holiday/{number:02}.jpg").read_bytes()))


def contents() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(Path("holiday").iterdir())}


def correct_in_review(records: Path) -> None:
    """Correct five captions, as the page of `capgen review` does, and reject one."""
    found = [record for record in read_records(records) if isinstance(record, Caption)]
    journal = ReviewJournal(reviews_path(records))
    try:
        for number, record in enumerate(found[: CORRECTED + 1]):
            verdict = "edited" if number < CORRECTED else "rejected"
            text = corrected(number) if number < CORRECTED else record.text
            review = Review(verdict=verdict, proposed=record.text, caption=text, by="ann")
            journal.add([Decision(ImageKey.of(record), review)])
    finally:
        journal.close()


def correct_in_table(table: Path) -> None:
    """Correct five captions in a spreadsheet."""
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for number in range(CORRECTED):
        rows[number]["caption"] = corrected(number)
    with table.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, rows[0], delimiter=";")
        writer.writeheader()
        writer.writerows(rows)


@pytest.mark.parametrize("name", ["captions.jsonl", "captions.csv"])
def test_twenty_new_images_next_month(run: Run, captioned: list[str], name: str) -> None:
    run(f"capgen caption holiday/ -o {name}")
    assert len(captioned) == FIRST
    before = contents()
    by_review = name.endswith("jsonl")
    (correct_in_review if by_review else correct_in_table)(Path(name))
    said = run(f"capgen apply {name} --write-metadata")
    unreviewed = FIRST - CORRECTED - by_review
    assert f"({CORRECTED} edited, {unreviewed} unreviewed) written" in said
    assert in_image(0) == {corrected(0)}
    written = contents()
    assert (written["05.jpg"] == before["05.jpg"]) is by_review  # which was rejected
    captioned.clear()

    add_images(FIRST, LATER)
    said = run(f"capgen caption holiday/ -o {name}")
    assert sorted(captioned) == [f"holiday/{n:02}.jpg" for n in range(FIRST, FIRST + LATER)]
    assert f"{FIRST + LATER} captions written to {name}, {FIRST} of them from an earlier" in said
    said = run(f"capgen apply {name} --write-metadata")
    # The corrections are still those of their images, which are as they were.
    there = CORRECTED + unreviewed
    assert f"({LATER} unreviewed) written; {there} already there" in said
    assert f"captions written into {LATER} images; {there} already there" in said
    assert {n: data for n, data in contents().items() if n in written} == written
    assert in_image(FIRST)
    captioned.clear()

    # The same in one command: what was decided is written, and stays.
    both = contents()
    run(f"capgen caption holiday/ -o {name} --write-metadata")
    assert captioned == [] and contents() == both
    said = run("capgen undo capgen-undo.jsonl")
    assert {n: data for n, data in contents().items() if n in before} == before
    run(f"capgen caption holiday/ -o {name}")
    assert captioned == []


def test_a_moved_or_copied_folder_keeps_its_decisions(run: Run, captioned: list[str]) -> None:
    run("capgen caption holiday/ -o captions.jsonl")
    correct_in_review(Path("captions.jsonl"))
    run("capgen apply captions.jsonl --write-metadata")
    captioned.clear()
    shutil.move("holiday", "sea")
    run("capgen caption sea/ -o captions.jsonl")
    assert captioned == []
    said = run("capgen apply captions.jsonl --only accepted -o sea.json")
    assert f"{CORRECTED} captions ({CORRECTED} edited) written" in said
    records = json.loads(Path("sea.json").read_text())
    assert records[0]["path"] == "sea/00.jpg" and records[0]["caption"] == corrected(0)
