"""`capgen apply`: from every form of records to every place, and back."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from capgen.cli.main import main
from capgen.digests import file_digest
from capgen.errors import StorageError
from capgen.images.metadata import xmp
from capgen.images.metadata.write import read_captions
from capgen.output.formats import open_format
from capgen.records import Caption, CaptionFailure, Record, Review
from capgen.reviews.journal import Decision, ImageKey, ReviewJournal, reviews_path
from capgen.undo_file import UndoFile
from tests.images_with_metadata import described, encoded
from tests.minis import draw

pytestmark = pytest.mark.usefixtures("handlers_put_back")
needs_exiftool = pytest.mark.skipif(shutil.which("exiftool") is None, reason="no exiftool here")
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in a folder of its own; return exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def command(*arguments: str) -> tuple[int, str, str]:
        code = main(arguments)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return command


def photos(*names: str) -> list[Caption]:
    """Draw images; return a record of each, as if a model had captioned it."""
    records = []
    for number, name in enumerate(names):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        draw(number).save(name)
        records.append(proposed(name, f"proposal {number}"))
    return records


def proposed(name: str, text: str) -> Caption:
    return Caption(
        path=name,
        text=text,
        score=-1.0,
        log_probability=-4.0,
        sha256=file_digest(Path(name), StorageError),
        model="mini",
        confidence=0.5,
    )


def write(path: str, records: list[Record] | list[Caption], form: str = "jsonl") -> Path:
    with open_format(Path(path), form) as each:
        for record in records:
            each(record, None)
    return Path(path)


def decide(records: Path, decisions: dict[Hashed, tuple[str, str]]) -> None:
    journal = ReviewJournal(reviews_path(records))
    try:
        journal.add(
            [
                Decision(
                    ImageKey(record.path, record.sha256),
                    Review(verdict=verdict, proposed=record.text, caption=text),
                )
                for record, (verdict, text) in decisions.items()
            ]
        )
    finally:
        journal.close()


def contents(folder: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}


def reviewed_file(name: str = "captions.jsonl") -> Path:
    """Write records of four images: one accepted, edited, rejected, and not reviewed each."""
    made = photos("p/a.jpg", "p/b.jpg", "p/c.jpg", "p/d.jpg")
    path = write(name, made)
    verdicts = [("accepted", "proposal 0"), ("edited", "Änne, mine"), ("rejected", "proposal 2")]
    decide(path, dict(zip([Hashed(record) for record in made], verdicts, strict=False)))
    return path


class Hashed:
    """A record as the key of a table."""

    def __init__(self, record: Caption) -> None:
        self.path, self.sha256, self.text = record.path, record.sha256, record.text


def exiftool(*names: str) -> list[dict[str, str]]:
    done = subprocess.run(
        ["exiftool", "-j", "-charset", "iptc=utf8", *names], capture_output=True, check=True
    )
    return json.loads(done.stdout)


def test_the_journal_of_a_review_goes_everywhere_and_back(run: Run) -> None:
    reviewed_file()
    before = contents("p")
    where = ("--write-metadata", "--sidecar", ".txt")
    code, out, err = run("apply", "captions.jsonl", *where, "--dry-run")
    assert code == 0 and contents("p") == before and not Path("capgen-undo.jsonl").exists()
    assert len(out.splitlines()) == 3 and f"{Path('p/b.jpg')}: Änne, mine" in out
    assert "c.jpg" not in out  # rejected
    as_json = run("apply", "captions.jsonl", *where, "--dry-run", "--json")[1]
    assert isinstance(json.loads(as_json), list)
    assert "3 captions (1 accepted, 1 edited, 1 unreviewed) would be written" in err
    assert "would be written into 3 images" in err and "3 sidecars would be written" in err
    code, _, err = run("apply", "captions.jsonl", *where)
    assert code == 0
    assert "3 captions (1 accepted, 1 edited, 1 unreviewed) written; left out: 1 rejected" in err
    assert read_captions(Path("p/b.jpg").read_bytes()) == ["Änne, mine"] * 3
    assert read_captions(Path("p/c.jpg").read_bytes()) == [None] * 3
    assert Path("p/b.txt").read_text(encoding="utf-8") == "Änne, mine\n"
    assert not Path("p/c.txt").exists()
    # Once more, and nothing is left to do.
    after = contents("p")
    assert run("apply", "captions.jsonl", *where)[0] == 0 and contents("p") == after
    code, _, err = run("undo", "capgen-undo.jsonl")
    assert code == 0 and "6 changes undone" in err
    assert contents("p") == before


def gallery_export(path: Path) -> None:
    """Write what the gallery exports for a caption that was edited, and one that was not."""
    run_lines = []
    for line in Path("captions.jsonl").read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        content = {key: record[key] for key in ("path", "sha256", "caption", "model", "score")}
        if record["path"] == "p/b.jpg":
            content |= {"caption": "Änne, mine", "original": record["caption"]}
        run_lines.append(json.dumps(content) + "\n")
    path.write_text("".join(run_lines), encoding="utf-8")


def table_of_excel(path: Path) -> None:
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        table = csv.writer(file, delimiter=";")
        table.writerow(["path", "caption", "sha256"])
        for line in Path("captions.jsonl").read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            text = "Änne, mine" if record["path"] == "p/b.jpg" else record["caption"]
            table.writerow([record["path"].replace("/", "\\"), text, record["sha256"]])


@needs_exiftool
@pytest.mark.parametrize("source", ["captions.jsonl", "captions-edited.jsonl", "captions.csv"])
def test_exiftool_reads_corrected_texts_and_undo_restores_every_byte(run: Run, source: str) -> None:
    reviewed_file()
    if source == "captions-edited.jsonl":
        gallery_export(Path(source))
    elif source == "captions.csv":
        table_of_excel(Path(source))
    before = contents("p")
    for sidecar in (".xmp", ".txt"):
        assert run("apply", source, "--write-metadata", "--sidecar", sidecar)[0] == 0
    image, beside = exiftool("p/b.jpg", "p/b.xmp")
    assert image["ImageDescription"] == image["Description"] == "Änne, mine"
    assert image["Caption-Abstract"] == beside["Description"] == "Änne, mine"
    assert Path("p/b.txt").read_text(encoding="utf-8") == "Änne, mine\n"
    assert run("undo", "capgen-undo.jsonl")[0] == 0
    assert contents("p") == before


def test_a_later_correction_replaces_an_earlier_caption_everywhere(run: Run) -> None:
    (record,) = photos("a.jpg")
    Path("a.xmp").write_bytes(described("", ' xmlns:crs="urn:crs" crs:Exposure2012="+1.20"'))
    before = contents(".")
    path = write("captions.jsonl", [record])
    where = ("--write-metadata", "--sidecar")
    for text in ("proposal 0", "first", "second"):
        if text != "proposal 0":
            decide(path, {Hashed(record): ("edited", text)})
        for sidecar in (".xmp", ".txt"):
            assert run("apply", "captions.jsonl", *where, sidecar)[0] == 0
        assert set(read_captions(Path("a.jpg").read_bytes())) == {text}
        assert xmp.read_texts(Path("a.xmp").read_bytes()) == {"x-default": text}
        assert Path("a.txt").read_text() == f"{text}\n"
    assert b'crs:Exposure2012="+1.20"' in Path("a.xmp").read_bytes()
    run("undo", "capgen-undo.jsonl")
    for name in ("a.jpg", "a.xmp"):
        assert Path(name).read_bytes() == before[name]
    assert not Path("a.txt").exists()


def test_a_second_run_says_that_all_is_there(run: Run) -> None:
    write("captions.jsonl", photos("a.jpg", "b.jpg"))
    command = ("apply", "captions.jsonl", "--write-metadata", "--sidecar", ".xmp")
    _, _, err = run(*command)
    assert "2 captions (2 unreviewed) written\n" in err and "already" not in err
    photos("c.jpg")
    write(
        "captions.jsonl",
        [proposed(f"{name}.jpg", f"proposal {n}") for n, name in ((0, "a"), (1, "b"), (2, "c"))],
    )
    for said in (
        ("1 caption (1 unreviewed) written; 2 already there\n", "into 1 image; 2 already there\n"),
        ("0 captions written; 3 already there\n", "0 sidecars written; 3 already there\n"),
    ):
        _, _, err = run(*command)
        assert all(text in err for text in said), err
    # The file that is written again has all of them.
    assert "3 captions (3 unreviewed) written to o.csv\n" in run(*command, "-o", "o.csv")[2]


def test_what_a_person_wrote_elsewhere_stays(run: Run) -> None:
    (record,) = photos("a.jpg")
    write("captions.jsonl", [record])
    Path("a.txt").write_text("Oma\n")
    _, _, err = run("apply", "captions.jsonl", "--sidecar", ".txt")
    assert Path("a.txt").read_text() == "Oma\n" and "1 sidecar keeps what is there" in err
    assert "0 captions written; left out: 1 where another text stays" in err
    assert run("apply", "captions.jsonl", "--sidecar", ".txt", "--on-existing", "append")[0] == 0
    assert Path("a.txt").read_text() == "Oma, proposal 0\n"


@pytest.mark.parametrize("verdict", ["accepted", "edited"])
def test_a_models_caption_does_not_replace_a_reviewed_one(run: Run, verdict: str) -> None:
    (record,) = photos("a.jpg")
    path = write("captions.jsonl", [record])
    where = ("--write-metadata", "--sidecar", ".xmp")
    run("apply", "captions.jsonl", *where)
    text = record.text if verdict == "accepted" else "mine"
    decide(path, {Hashed(record): (verdict, text)})
    run("apply", "captions.jsonl", *where, "--sidecar", ".txt")
    run("apply", "captions.jsonl", *where)
    other = write("other.jsonl", [replace(record, text="of another model")])
    code, _, err = run("apply", str(other), *where)
    assert code == 0 and "1 image keeps a description" in err
    run("apply", str(other), "--sidecar", ".txt")
    assert set(read_captions(Path("a.jpg").read_bytes())) == {text}
    assert xmp.read_texts(Path("a.xmp").read_bytes()) == {"x-default": text}
    assert Path("a.txt").read_text() == f"{text}\n"


def test_an_image_that_changed_is_not_written_into(run: Run) -> None:
    first, second = photos("a.jpg", "b.jpg")
    write("captions.jsonl", [first, second])
    draw(7).save("a.jpg")
    before = Path("a.jpg").read_bytes()
    where = ("--write-metadata", "--sidecar", ".txt", "--json")
    code, out, err = run("apply", "captions.jsonl", *where)
    assert code == 1 and Path("a.jpg").read_bytes() == before and not Path("a.txt").exists()
    assert "a.jpg: changed since it was captioned" in err and "hint: Caption it again" in err
    records = json.loads(out)
    assert records[0]["error"]["code"] == "changed" and records[0]["error"]["hint"]
    assert records[1]["error"]["code"] == ""
    assert "1 caption (1 unreviewed) written; 1 failed" in err
    # A copy of the undo file explains what capgen wrote; without it the image has changed.
    assert run("apply", "captions.jsonl", "--write-metadata")[2].count("changed since") == 1
    assert run("apply", "captions.jsonl", "--write-metadata", "--undo-file", "x")[0] == 1


def test_images_that_are_no_files_fail_and_the_others_are_written(run: Run) -> None:
    (record,) = photos("a.jpg")
    Path("photos.tar").write_bytes(b"x")
    names = ("photos.tar/b.jpg", "https://a.org/c.jpg", "gone.jpg")
    others = [replace(record, path=name) for name in names]
    failure = CaptionFailure(path="d.jpg", code="truncated", message="d.jpg: cut off")
    write("captions.jsonl", [*others, record, failure])
    with Path("captions.jsonl").open("a") as file:
        file.write("nonsense\n")
    code, _, err = run("apply", "captions.jsonl", "--write-metadata", "-o", "all.csv")
    assert code == 1
    for line in (
        "photos.tar/b.jpg: in an archive, not a file",
        "https://a.org/c.jpg: an address, not a file",
        "gone.jpg: no such file",
        "captions.jsonl:6: not JSON",
        "1 caption (1 unreviewed) written to all.csv; 4 failed",
    ):
        assert line in err
    assert set(read_captions(Path("a.jpg").read_bytes())) == {record.text}
    with Path("all.csv").open(newline="") as file:
        codes = [row["error_code"] for row in csv.DictReader(file)]
    assert codes == ["not_a_file", "not_a_file", "missing", "", "truncated", "malformed"]


def test_an_empty_caption_empties_nothing(run: Run) -> None:
    records = photos("a.jpg", "b.jpg")
    empty = replace(records[0], text="", review=Review(verdict="edited", proposed="x", caption=""))
    before = contents(".")
    write("c.jsonl", [empty, records[1]])
    code, _, err = run("apply", "c.jsonl", "--write-metadata", "--sidecar", ".txt")
    assert (code, Path("a.jpg").read_bytes()) == (0, before["a.jpg"])
    assert not Path("a.txt").exists()
    assert "1 caption (1 unreviewed) written; left out: 1 without a caption" in err


def test_the_same_image_twice(run: Run) -> None:
    (record,) = photos("a.jpg")
    review = Review(verdict="edited", proposed="x", caption="mine")
    mine = replace(record, path="./a.jpg", text="mine", review=review)
    write("captions.jsonl", [record, mine, record])
    code, out, err = run("apply", "captions.jsonl", "--sidecar", ".txt", "--json")
    assert code == 0 and len(json.loads(out)) == 3
    assert Path("a.txt").read_text() == "mine\n"
    assert "1 caption (1 edited) written; 2 more of the same images" in err


@pytest.mark.parametrize("name", ["x.csv", "x.json", "x.jsonl", "x.parquet", "x.html", "x.tsv"])
def test_one_folder_in_every_format_is_captioned_once(run: Run, name: str) -> None:
    reviewed_file()
    assert run("apply", "captions.jsonl", "-o", name)[0] == 0
    assert not Path("capgen-undo.jsonl").exists()
    # What was decided is in it, for another `capgen apply`.
    code, out, err = run("apply", name, "--json")
    assert code == 0
    assert [record["caption"] for record in json.loads(out)] == [
        *("proposal 0", "Änne, mine", "proposal 3")
    ]
    assert ("decisions in a gallery are in its export" in err) == name.endswith("html")
    if name != "x.tsv":  # which has no place for it
        assert "3 captions (1 accepted, 1 edited, 1 unreviewed) written" in err
        edited = json.loads(out)[1]["review"]
        assert (edited["verdict"], edited["proposed"]) == ("edited", "proposal 1")


def test_thumbnails_of_a_gallery_are_made_anew(run: Run) -> None:
    reviewed_file()
    run("apply", "captions.jsonl", "-o", "g.html")
    assert Path("g.html").read_text(encoding="utf-8").count("data:image/webp") == 3


def test_the_datasets_library_loads_an_image_folder(run: Run, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    reviewed_file()
    Path("set").mkdir()
    for name in ("a", "d"):  # one is in the folder already, under a name that is taken
        shutil.copy(f"p/{name}.jpg", "set/")
    (inside,) = [replace(proposed("set/d.jpg", "inside"), path="set/d.jpg")]
    with Path("captions.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(inside.to_dict()) + "\n")
    code, _, err = run("apply", "captions.jsonl", "--format", "imagefolder", "-o", "set")
    assert code == 0 and "4 captions (1 accepted, 1 edited, 2 unreviewed) written to set/" in err
    loaded = datasets.load_dataset(
        "imagefolder", data_dir="set", split="train", cache_dir=str(tmp_path / "cache")
    )
    assert loaded["text"] == ["proposal 0", "Änne, mine", "proposal 3", "inside"]
    assert loaded[0]["image"].size == draw(0).size
    before = contents("set/images")
    assert run("apply", "captions.jsonl", "--format", "imagefolder", "-o", "set")[0] == 0
    assert contents("set/images") == before  # nothing is copied twice
    # It is also records.
    assert run("apply", "set/metadata.jsonl", "--sidecar", ".txt")[0] == 0
    assert Path("set/images/b.txt").read_text(encoding="utf-8") == "Änne, mine\n"


def test_copies_of_the_same_name_do_not_replace_each_other(run: Run) -> None:
    made = photos("one/a.jpg", "two/a.jpg")
    write("captions.jsonl", made)
    assert run("apply", "captions.jsonl", "--format", "imagefolder", "-o", "set")[0] == 0
    lines = [json.loads(line) for line in Path("set/metadata.jsonl").read_text().splitlines()]
    assert [line["file_name"] for line in lines] == ["images/a.jpg", "images/a-2.jpg"]
    assert Path("set/images/a-2.jpg").read_bytes() == Path("two/a.jpg").read_bytes()


def test_no_output_is_an_input(run: Run) -> None:
    (record,) = photos("a.jpg")
    write("captions.csv", [record], "csv")
    before = Path("captions.csv").read_bytes()
    code, _, err = run("apply", "captions.csv", "-o", "captions.csv")
    assert code == 2 and "is an input" in err
    Path("link.csv").symlink_to("captions.csv")
    assert run("apply", "captions.csv", "-o", "link.csv")[0] == 2
    assert run("apply", "captions.csv", "-o", "a.jpg", "--format", "csv")[0] == 2
    assert Path("captions.csv").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Nothing was named to write to"),
        (["--format", "csv", "--json"], "--format csv needs an output"),
        (["-o", "x.docx"], "'.docx' is not one of"),
        (["--sidecar", ".jpg"], "sidecars are plain text, or .xmp"),
        (["--only", "some", "--json"], "--only is 'some'"),
    ],
)
def test_wrong_usage(run: Run, arguments: list[str], message: str) -> None:
    write("captions.jsonl", photos("a.jpg"))
    code, _, err = run("apply", "captions.jsonl", *arguments)
    assert code == 2 and message in err


def test_metadata_that_an_image_cannot_hold_and_tags(run: Run) -> None:
    Path("a.avif").write_bytes(encoded("AVIF"))
    write("captions.jsonl", [proposed("a.avif", "a dog")])
    code, out, err = run("apply", "captions.jsonl", "--write-metadata", "--json")
    assert code == 1 and "--sidecar .xmp" in err
    assert json.loads(out)[0]["error"]["code"] == "metadata"
    assert run("apply", "captions.jsonl", "--write-metadata", "--sidecar", ".xmp")[0] == 0


def test_undoing_what_is_no_undo_file(run: Run) -> None:
    assert run("undo", "none.jsonl")[0] == 1
    assert "Cannot read none.jsonl" in run("undo", "none.jsonl")[2]


def test_marks_of_what_was_reviewed_are_undone_as_well(run: Run) -> None:
    (record,) = photos("a.jpg")
    before = Path("a.jpg").read_bytes()
    path = write("captions.jsonl", [record])
    run("apply", "captions.jsonl", "--write-metadata")
    decide(path, {Hashed(record): ("accepted", record.text)})
    written = Path("a.jpg").read_bytes()
    run("apply", "captions.jsonl", "--write-metadata")
    assert Path("a.jpg").read_bytes() == written
    assert UndoFile(Path("capgen-undo.jsonl")).is_reviewed(written)
    assert "1 change undone" in run("undo", "capgen-undo.jsonl")[2]
    assert Path("a.jpg").read_bytes() == before


@pytest.mark.parametrize(
    "place", [("--sidecar", ".txt"), ("--sidecar", ".xmp"), ("--write-metadata",)]
)
def test_a_caption_that_was_rejected_after_it_was_written_is_told(run: Run, place) -> None:
    made = photos("p/a.jpg", "p/b.jpg")
    path = write("captions.jsonl", made)
    before, hashed = contents("p"), [Hashed(record) for record in made]
    assert "rejected" not in run("apply", "captions.jsonl", *place)[2]
    decide(path, {hashed[1]: ("rejected", "proposal 1")})
    told = (
        "note: still there from an earlier run: 1 rejected caption; capgen undo capgen-undo.jsonl "
        "and the same command again leave out what was rejected\n"
    )
    for dry in ((), ("--dry-run",)):
        assert run("apply", "captions.jsonl", *place, *dry)[2].endswith(told)
    assert run("undo", "capgen-undo.jsonl")[0] == 0
    assert contents("p") == before
    assert "still there" not in run("apply", "captions.jsonl", *place)[2]
    after = contents("p")
    assert after != before
    assert {name: after[name] for name in after if name[0] == "b"} == {"b.jpg": before["b.jpg"]}
    # What a person made of it is theirs.
    if place == ("--sidecar", ".txt"):
        Path("p/b.txt").write_text("mine")
        assert "still there" not in run("apply", "captions.jsonl", *place)[2]


@pytest.mark.parametrize("rejected", ["a dog", "", "a \ud83d"])
def test_another_caption_of_the_image_that_was_rejected_is_not_there(
    run: Run, rejected: str
) -> None:
    (made,) = photos("p/a.jpg")
    write("captions.jsonl", [replace(made, text="a dog runs")])
    run("apply", "captions.jsonl", "--sidecar", ".txt")
    assert Path("p/a.txt").read_text() == "a dog runs\n"
    other = replace(made, text=rejected)
    decide(write("captions.jsonl", [other]), {Hashed(other): ("rejected", rejected)})
    code, _, err = run("apply", "captions.jsonl", "--sidecar", ".txt")
    assert (code, "1 rejected" in err, "still there" in err) == (0, True, False)
