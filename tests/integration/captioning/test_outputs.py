"""What one run of `capgen caption` writes: several files, image folders, records for `datasets`."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from capgen.captioning.captioner import Captioner
from capgen.cli.main import main
from capgen.output.formats import open_format
from capgen.records import Caption, CaptionFailure, Concept, Retry, Review, Token, Unwritten
from capgen.reviews.reviewed_records import read_records
from tests.minis import draw

pytestmark = pytest.mark.usefixtures("handlers_put_back")
V1 = Path(__file__).parents[2] / "data" / "v0.1"
Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in a folder with images; return exit code and stderr."""
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    for number in range(3):
        draw(number, (120, 90)).save(f"in/photo{number}.jpg")
    Path("in/bad.jpg").write_text("Dear diary")

    def command(*arguments: str) -> tuple[int, str]:
        code = main(arguments)
        return code, capsys.readouterr().err

    return command


@pytest.fixture
def captioned(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Give a list that gets the number of images of each batch that the model captions."""
    counts: list[int] = []
    caption = Captioner.caption_prepared

    def counting(self: Captioner, batch: Any, *rest: Any, **options: Any) -> Any:
        counts.append(len(batch))
        return caption(self, batch, *rest, **options)

    monkeypatch.setattr(Captioner, "caption_prepared", counting)
    yield counts


NAMES = ("a.jsonl", "a.csv", "a.html")


def options(folder: str) -> list[str]:
    return [part for name in NAMES for part in ("-o", f"{folder}/{name}")]


def contents(folder: str) -> dict[str, bytes]:
    return {name: Path(folder, name).read_bytes() for name in NAMES}


def test_one_run_and_a_conversion_write_what_three_runs_write(
    run: Run, captioned: list[int]
) -> None:
    for name in NAMES:
        assert run("caption", "in", "-o", f"three/{name}", "--scores")[0] == 1
    assert sum(captioned) == 9
    code, err = run("caption", "in", *options("one"), "--scores")
    assert code == 1 and "3 captions written to one/a.jsonl, one/a.csv and one/a.html" in err
    assert sum(captioned) == 12
    code, err = run("convert", "three/a.jsonl", *options("converted"))
    assert code == 0 and "; 1 record without a caption" in err
    assert sum(captioned) == 12
    assert contents("one") == contents("converted") == contents("three")
    # The journal of what may be edited stays, as after a run with this output alone.
    for name in ("a.csv.journal", "a.html.journal"):
        assert Path("one", name).read_bytes() == Path("three", name).read_bytes()
    assert not Path("one/a.jsonl.journal").exists()


@pytest.mark.parametrize("again", [NAMES, NAMES[::-1], NAMES[1:2], ("b.parquet", *NAMES[2:])])
def test_no_image_is_captioned_again(
    run: Run, captioned: list[int], again: tuple[str, ...]
) -> None:
    pytest.importorskip("pyarrow")
    run("caption", "in", *options("one"))
    before = contents("one")
    assert sum(captioned) == 3
    code, err = run("caption", "in", *(part for name in again for part in ("-o", f"one/{name}")))
    assert code == 1 and "4 records from an earlier run" in err
    assert sum(captioned) == 3 and contents("one") == before


def test_records_of_images_that_are_gone_do_not_leave_without_a_word(run: Run) -> None:
    run("caption", "in", "-o", "a.jsonl")
    kept = [line for line in Path("a.jsonl").read_text().splitlines() if "photo1.jpg" not in line]
    assert "left out" not in run("caption", "in", "-o", "a.jsonl")[1]
    Path("in/photo1.jpg").unlink()
    _, err = run("caption", "in", "-o", "a.jsonl")
    assert "left out: 1 record from an earlier run (images no longer there)" in err
    assert Path("a.jsonl").read_text().splitlines() == kept
    assert "left out" not in run("caption", "in", "-o", "a.jsonl")[1]


@pytest.mark.parametrize("folder", [True, False])
def test_a_disk_that_is_missing_for_two_nights_costs_no_captions(
    run: Run, captioned: list[int], folder: bool
) -> None:
    run("caption", "in", "-o", "a.jsonl")
    before, count = Path("a.jsonl").read_text(), sum(captioned)
    Path("in").rename("away")
    if folder:
        Path("in").mkdir()
    for _ in range(2):
        code, err = run("caption", "in", "-o", "a.jsonl")
        assert code == 1 and "left out: 4 records from an earlier run" in err
        assert "keeping a.jsonl.journal" in err
    if folder:
        Path("in").rmdir()
    Path("away").rename("in")
    assert "left out" not in run("caption", "in", "-o", "a.jsonl")[1]
    assert Path("a.jsonl").read_text() == before and sum(captioned) == count
    assert not Path("a.jsonl.journal").exists()


def test_what_a_person_wrote_in_one_of_the_tables_stays(run: Run) -> None:
    run("caption", "in", *options("one"))
    with Path("one/a.csv").open(newline="") as file:
        [*rows] = csv.reader(file)
    rows[2][1] = "what a person wrote"
    with Path("one/a.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    before = contents("one")
    _, err = run("caption", "in", *options("one"))
    assert "1 caption that was changed in one/a.csv stays so" in err
    assert "what a person wrote" in Path("one/a.csv").read_text()
    assert Path("one/a.jsonl").read_bytes() == before["a.jsonl"]


def test_one_output_that_fails_does_not_lose_the_others(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("caption", "in", *options("whole"))
    stream = Path("/dev/full").open("w")  # noqa: SIM115
    monkeypatch.setattr(
        "capgen.output.gallery._card", lambda *_: print("x", file=stream, flush=True)
    )
    code, err = run("caption", "in", *options("one"))
    assert code == 1 and "No space left to write one/a.html" in err
    assert "3 captions written to one/a.jsonl and one/a.csv;" in err
    assert not Path("one/a.html").exists()
    assert Path("one/a.csv").read_bytes() == Path("whole/a.csv").read_bytes()
    assert Path("one/a.jsonl").read_bytes() == Path("whole/a.jsonl").read_bytes()


def test_an_output_of_version_1_is_gone_on_from(run: Run, captioned: list[int]) -> None:
    run("caption", "in", "-o", "new.jsonl")
    lines = [json.loads(line) for line in Path("new.jsonl").read_text().splitlines()]
    for record in lines:
        record |= {"schema_version": 1, "confidence": None, "usage": None}
        record["settings"] |= {"seed": None, "min_confidence": None}
        if record["caption"] is not None:
            record |= {"error": None, "retry": None, "notes": [], "alternatives": []}
    text = "".join(json.dumps(record) + "\n" for record in lines)
    for name in ("old.jsonl", "old.csv.journal"):
        Path(name).write_text(text)
    count = sum(captioned)
    for name in ("old.jsonl", "old.csv"):
        assert "4 records from an earlier run" in run("caption", "in", "-o", name)[1]
    assert sum(captioned) == count
    assert Path("old.jsonl").read_bytes() == Path("new.jsonl").read_bytes()
    Path("mixed.jsonl").write_text(text + Path("new.jsonl").read_text())
    records = read_records(Path("mixed.jsonl"))
    assert records[:4] == records[4:] and len(records) == 8


def test_records_of_version_1_are_converted(run: Run) -> None:
    shutil.copy(V1 / "rich.jsonl", "rich.jsonl")
    assert run("convert", "rich.jsonl", "-o", "new.jsonl", "-o", "new.csv")[0] == 0
    assert read_records(Path("new.jsonl")) == read_records(Path("rich.jsonl"))


def test_conversion_keeps_all_records_with_their_decisions(run: Run) -> None:
    run("caption", "in", "-o", "a.jsonl")
    paths = [record.path for record in read_records(Path("a.jsonl"))]
    records = read_records(Path("a.jsonl"))
    for place, verdict in ((1, "edited"), (2, "rejected")):
        record = records[place]
        assert isinstance(record, Caption)
        text = "mine" if verdict == "edited" else record.text
        review = Review(verdict=verdict, proposed=record.text, caption=text)
        records[place] = replace(record, text=text, review=review)
    with open_format(Path("decided.jsonl"), "jsonl", reviewed=True) as write:
        for record in records:
            write(record, None)
    code, err = run("convert", "decided.jsonl", "-o", "b.csv")
    assert code == 0 and "3 captions (1 edited, 1 unreviewed, 1 rejected) written to b.csv" in err
    with Path("b.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows] == paths
    assert [row["verdict"] for row in rows] == ["", "edited", "rejected", ""]
    assert run("convert", "decided.jsonl", "--format", "imagefolder", "-o", "set")[0] == 0
    assert len(Path("set/metadata.jsonl").read_text().splitlines()) == 2  # not what was rejected


def test_conversion_needs_an_output_that_is_no_input(run: Run) -> None:
    run("caption", "in", "-o", "a.jsonl")
    for arguments, said in (
        ((), "Nothing was named to write to"),
        (("-o", "a.jsonl"), "is an input"),
        (("-o", "in/photo0.jpg", "--format", "csv"), "is an input"),
        (("-o", "b.csv", "-o", "./b.csv"), "both write"),
    ):
        code, err = run("convert", "a.jsonl", *arguments)
        assert code == 2 and said in err


def test_an_image_folder_of_one_run_loads(run: Run, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    shutil.make_archive("in", "tar", "in")
    code, err = run("caption", "in", "in/photo0.jpg", "--format", "imagefolder", "-o", "set")
    assert code == 1 and "written to set/metadata.jsonl" in err
    loaded = datasets.load_dataset(
        "imagefolder", data_dir="set", split="train", cache_dir=str(tmp_path / "cache")
    )
    run("caption", "in", "-o", "a.jsonl")
    texts = [record.text for record in read_records(Path("a.jsonl")) if isinstance(record, Caption)]
    assert loaded["text"] == texts  # once each
    assert loaded[0]["image"].size == (120, 90)
    run("convert", "a.jsonl", "--format", "imagefolder", "-o", "converted/metadata.jsonl")
    made, converted = (Path(name, "metadata.jsonl") for name in ("set", "converted"))
    assert made.read_bytes() == converted.read_bytes()
    code, err = run("caption", "in.tar", "--format", "imagefolder", "-o", "other")
    assert code == 1 and "photo0.jpg: not a file, so it is not in the image folder" in err


def many(
    count: int, rich: dict[int, Caption | CaptionFailure]
) -> Iterator[Caption | CaptionFailure]:
    """Yield plain records like those of a run, and others in the places of `rich`."""
    tokens = tuple(Token(id=n, text=" dog", log_probability=-0.1 * n) for n in range(1, 9))
    settings = {"beams": 3, "sample": False, "length_penalty": 1.0, "runtime": "onnx", "seed": None}
    plain = Caption(
        path="",
        text="a dog",
        log_probability=-3.6,
        score=-0.4,
        tokens=tokens,
        width=4,
        height=3,
        sha256="0" * 64,
        model="mini",
        revision="sha256:ab",
        settings=settings,
        concepts=(Concept("dog", 0.9),),
    )
    for number in range(count):
        record = rich.get(number, plain)
        if number in rich and isinstance(record, Caption):
            record = replace(
                plain,
                **{
                    name: getattr(record, name)
                    for name in ("text", "notes", "retry", "unwritten", "review", "concepts")
                },
            )
        yield replace(record, path=f"{number}.jpg")


def load(datasets: Any, path: Path, cache: Path) -> Any:
    return datasets.load_dataset(
        "json", data_files=str(path), split="train", cache_dir=str(cache), keep_in_memory=True
    )


def nulls(feature: Any) -> bool:
    if isinstance(feature, dict):
        return any(nulls(inner) for inner in feature.values())
    inner = getattr(feature, "feature", None)
    return nulls(inner) if inner is not None else getattr(feature, "dtype", "") == "null"


def test_50000_records_with_one_failure_load(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    failure = CaptionFailure(path="", code="truncated", message="cut off", hint="Send it again.")
    retry = Retry(reason="empty", rejected=("",), settings={"seed": 1}, resolved=True)
    review = Review(verdict="edited", proposed="a dog", caption="mine", at="2026-11-27T00:00:00Z")
    base = Caption(text="mine", log_probability=None, score=None)
    rich: dict[int, Caption | CaptionFailure] = {24_999: failure}
    path = tmp_path / "one.jsonl"
    with open_format(path, "jsonl") as write:
        for record in many(50_000, rich):
            write(record, None)
    assert path.stat().st_size > 3 * (10 << 20)  # read in parts, whose types have to agree
    loaded = load(datasets, path, tmp_path / "cache")
    assert len(loaded) == 50_000 and not nulls(dict(loaded.features))
    found = loaded[24_999]
    assert (found["caption"], found["error"]["code"]) == (None, "truncated")
    assert loaded[0]["error"]["code"] == ""
    # What else a run may say of one image in 20,000, and of the first ones only.
    rich = {
        15_000: replace(base, notes=("could not avoid 'dog'",), retry=retry, text="a cat"),
        15_001: replace(base, unwritten=Unwritten(code="sidecar", message="no space")),
        15_002: replace(base, review=review, concepts=()),
        **{number: replace(base, review=review, concepts=()) for number in range(3)},
    }
    path = tmp_path / "two.jsonl"
    with open_format(path, "jsonl", reviewed=True) as write:
        for record in many(20_000, rich):
            write(record, None)
    loaded = load(datasets, path, tmp_path / "cache")
    assert not nulls(dict(loaded.features))
    assert json.loads(loaded[15_000]["notes"]) == ["could not avoid 'dog'"]
    assert loaded[15_000]["retry"]["reason"] == "empty"
    assert loaded[15_002]["review"]["verdict"] == "edited"


@pytest.mark.parametrize("reviewed_first", [False, True])
def test_files_with_reviews_in_one_half_load(tmp_path: Path, reviewed_first: bool) -> None:
    datasets = pytest.importorskip("datasets")
    review = Review(
        verdict="accepted", proposed="a dog", caption="a dog", at="2026-11-27T00:00:00+00:00"
    )
    seen = (Concept("dog", 0.9),)
    mine = Caption(text="a dog", log_probability=None, score=None, review=review, concepts=seen)
    half = range(15_000) if reviewed_first else range(15_000, 30_000)
    path = tmp_path / "half.jsonl"
    with open_format(path, "jsonl", reviewed=True) as write:
        for record in many(30_000, dict.fromkeys(half, mine)):
            write(record, None)
    loaded = load(datasets, path, tmp_path / "cache")
    assert sum(review["verdict"] == "accepted" for review in loaded["review"]) == 15_000
