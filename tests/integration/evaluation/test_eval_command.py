"""`capgen eval` through `main`, as the program runs it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from capgen.cli.eval import view
from capgen.cli.main import main
from capgen.errors import NetworkError, StorageError
from tests.minis import MiniImage, coco_json, draw, make_images, save_images, write_flickr8k

IMAGES = make_images(20)
TEST = [image for image in IMAGES if image.split == "test"]


@pytest.fixture
def flickr(tmp_path: Path) -> Path:
    return write_flickr8k(tmp_path / "mini8k", IMAGES)


def predictions(folder: Path, images: list[MiniImage] = TEST, reference: int = 0) -> Path:
    path = folder / f"said{reference}.json"
    said = [{"image_id": p.name, "caption": p.captions[reference]} for p in images]
    path.write_text(json.dumps(said))
    return path


def run(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    code = main(["eval", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_a_model_from_table_to_reports(
    flickr: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place, page = tmp_path / "out" / "scores.json", tmp_path / "out" / "report.html"
    arguments = ("--data-dir", flickr, "--beams", "2", "--samples", "1", "--examples", "1")
    code, out, err = run(capsys, *arguments, "--json", place, "--html", page)
    assert code == 0
    assert "mini on mini8k, test: 4 images, 20 references" in out
    for word in ("BLEU-4", "CIDEr-D", "METEOR", "ROUGE-L", "generated", "human", "scores"):
        assert word in out
    assert "written" in err and "written" not in out
    record = json.loads(place.read_text())
    assert record["system"]["settings"]["beams"] == 2
    assert record["data"]["digest"].startswith("sha256:")
    assert [item["image_id"] for item in record["images"]] == sorted(p.name for p in TEST)
    assert "Where the model looked" in page.read_text()
    code, out, _ = run(capsys, *arguments[:4], "--json", "-")
    assert json.loads(out) == record


def test_captions_do_not_steer_the_terminal(
    flickr: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = tmp_path / "[red].json"
    said.write_text(json.dumps({p.name: "[bold]a[/] \x1b[31mred\nline" for p in TEST}))
    code, out, _ = run(
        capsys, "--data-dir", flickr, "--predictions", said, "--compare", said, "--samples", "1"
    )
    assert code == 0
    assert "[red].json (first) and [red].json (second) on mini8k" in out
    assert r"[bold]a[/] \x1b[31mred\nline" in out
    assert "\x1b" not in out


def test_files_of_one_name_are_told_apart(
    flickr: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [tmp_path / folder / "said.json" for folder in ("one", "two")]
    for number, file in enumerate(files):
        file.parent.mkdir()
        predictions(tmp_path, reference=number).rename(file)
    both = ("--data-dir", flickr, "--predictions", files[0], "--compare", files[1])
    code, out, err = run(capsys, *both, "--metrics", "bleu")
    assert code == 0, err
    assert "one/said.json (first) and two/said.json (second) on mini8k" in " ".join(out.split())
    code, out, _ = run(capsys, *both, "--metrics", "bleu", "--format", "csv")
    assert [line.split(",")[0] for line in out.splitlines()] == ["model", "one/said", "two/said"]


def test_the_captions_of_a_file_are_read(
    flickr: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch
) -> None:
    titles = []

    def follow(events, console, title, *more):
        titles.append(title)
        return real(events, console, title, *more)

    real = view.follow
    monkeypatch.setattr(view, "follow", follow)
    arguments = ("--data-dir", flickr, "--compare", "mini", "--beams", "1", "--metrics", "bleu")
    assert run(capsys, "--predictions", predictions(tmp_path), *arguments)[0] == 0
    assert titles == ["reading (said0.json)", "captioning (mini)"]


def test_validation_split_and_limit(flickr: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(
        capsys, "--data-dir", flickr, "--split", "val", "--limit", "2", "--beams", "1"
    )
    assert code == 0
    assert "mini8k, val: 2 images, 10 references" in out


def test_torch_models_have_heat_maps_too(
    flickr: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "report.html"
    arguments = ("--data-dir", flickr, "--limit", "2", "--beams", "1", "--json", "-")
    code, out, _ = run(capsys, *arguments, "--runtime", "torch", "--device", "cpu", "--html", page)
    assert code == 0
    record = json.loads(out)
    assert record["system"]["runtime"] == "torch"
    assert "torch" in record["stamp"]["versions"]
    assert "Where the model looked" in page.read_text()
    _, out, _ = run(capsys, *arguments)
    assert json.loads(out)["images"] == record["images"]


def test_predictions_against_a_coco_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "captions.json").write_text(coco_json(TEST))
    said = tmp_path / "said.json"
    said.write_text(
        json.dumps([{"image_id": n, "caption": p.captions[1]} for n, p in enumerate(TEST)])
    )
    save_images(tmp_path / "photos", TEST)
    code, out, _ = run(
        capsys,
        *("--predictions", said, "--references", tmp_path / "captions.json"),
        *("--data-dir", tmp_path / "photos", "--html", tmp_path / "r.html", "--json", "-"),
    )
    assert code == 0
    record = json.loads(out)
    assert record["corpus"]["BLEU-4"] == pytest.approx(1, abs=1e-6)
    assert record["system"]["file"] == "said.json"
    assert (tmp_path / "r.html").read_text().count("data:image/jpeg") == 3 * len(TEST)


def test_comparison(flickr: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, place = predictions(tmp_path), tmp_path / "c.json"
    arguments = ("--data-dir", flickr, "--predictions", first, "--compare", "mini")
    code, out, _ = run(capsys, *arguments, "--beams", "1", "--json", place)
    assert code == 0
    assert "said0.json (first) and mini (second)" in out
    assert "4/0/0" in out
    record = json.loads(place.read_text())
    assert record["kind"] == "comparison"
    assert record["differences"]["ROUGE-L"]["first"] == pytest.approx(1)
    assert record["second"]["system"]["settings"]["beams"] == 1
    assert len(record["disagreements"]["images"]) == 4


def test_a_image_that_cannot_be_read_is_reported(
    flickr: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = sorted(p.name for p in TEST)[0]
    (flickr / "Flicker8k_Dataset" / broken).write_bytes(b"nothing")
    code, out, err = run(capsys, "--data-dir", flickr, "--beams", "1")
    assert code == 1
    assert "3 images, 15 references" in out
    assert broken in err
    assert "Scores are over 3 of 4 images: 1 have no caption" in err


def test_what_the_data_set_leaves_out_is_said(
    flickr: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lost = sorted(p.name for p in TEST)[0]
    (flickr / "Flicker8k_Dataset" / lost).unlink()
    code, out, err = run(capsys, "--data-dir", flickr, "--beams", "1")
    assert code == 0
    assert "3 images, 15 references" in out
    assert lost in err


@pytest.mark.parametrize(
    ("changed", "code", "message"),
    [
        ({"--predictions": "nothing.json"}, 1, "Cannot read"),
        ({"--predictions": "broken.json"}, 1, "broken.json:1: not valid JSON"),
        ({"--predictions": "few.json"}, 1, "no prediction for 1 image"),
        ({"--predictions": "many.json"}, 1, "not in split test"),
        ({"--predictions": "twice.json"}, 1, "twice.json: two predictions for the image"),
        ({"--references": "broken.json"}, 1, "broken.json:1: not valid JSON"),
        ({"--references": "bare.json"}, 1, "empty or not a string"),
        ({"--data-dir": "nowhere"}, 1, "nowhere"),
        ({"--document-frequencies": "broken.json"}, 1, "broken.json:1: not valid JSON"),
        ({"--json": "."}, 1, "it is a folder"),
        ({"--split": "tets"}, 2, "Unknown split"),
        ({"--metrics": "blue"}, 2, "Unknown metric 'blue'"),
        ({"--limit": "0"}, 2, "--limit is 0"),
        ({"--resamples": "1"}, 2, "--resamples is 1"),
        ({"--model": "mini"}, 2, "--model and --predictions cannot be used together"),
    ],
)
def test_bad_input_is_named(
    flickr: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    changed: dict[str, str],
    code: int,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    predictions(tmp_path)
    said = json.loads(Path("said0.json").read_text())
    stranger = {"image_id": IMAGES[0].name, "caption": "a"}
    for name, content in (
        ("few.json", said[1:]),
        ("many.json", [*said, stranger]),
        ("twice.json", [*said, said[0]]),
        ("bare.json", {"a.jpg": [""]}),
    ):
        Path(name).write_text(json.dumps(content))
    Path("broken.json").write_text("[{")
    options = {"--data-dir": str(flickr), "--predictions": "said0.json"} | changed
    found, out, err = run(capsys, *(part for pair in options.items() for part in pair))
    assert (found, out) == (code, "")
    assert message in err
    assert "Traceback" not in err


def test_it_leaves_torch_alone(flickr: Path) -> None:
    program = (
        "import sys; from capgen.cli.main import main; "
        f"code = main(['eval', '--data-dir', {str(flickr)!r}, '--beams', '1']); "
        "sys.exit(code or 3 * ('torch' in sys.modules or 'transformers' in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr.decode()


def outside_set(root: Path) -> Path:
    """Make a data set that was not imported: one image of its own, three from elsewhere."""
    folder = root / "set"
    folder.mkdir()
    draw(1).save(root / "private.jpg")
    draw(2).save(folder / "own.jpg")
    draw(3).save(root / "other.jpg")
    (folder / "link.jpg").symlink_to(root / "private.jpg")
    rows = [("own.jpg", "mine"), ("link.jpg", "a link"), (root / "other.jpg", "by name")]
    lines = "".join(f"{image},{caption},test\n" for image, caption in rows)
    (folder / "captions.csv").write_text("image,caption,split\n" + lines)
    return folder


def test_a_report_shows_nothing_from_outside_a_set_that_was_not_imported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, page = outside_set(tmp_path), tmp_path / "report.html"
    arguments = ("--html", page, "--examples", "3")
    # A model with heat maps, which are pictures of the image, too.
    code, _, _ = run(capsys, "--data-dir", folder, *arguments)
    assert code == 0
    # Each image is among the best, the worst and the random ones.
    assert page.read_text().count("outside the data folder") == 6
    assert page.read_text().count('<ol class="words"') == 3
    # All are scored, and one who imports with --link has said that they may be anywhere.
    assert main(["data", "import", str(folder), "--name", "all", "--link"]) == 0
    assert run(capsys, "--dataset", "all", *arguments)[0] == 0
    assert "outside the data folder" not in page.read_text()
    assert page.read_text().count('<ol class="words"') == 9


def test_a_file_of_references_does_not_put_any_image_into_a_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, page = tmp_path / "set", tmp_path / "report.html"
    folder.mkdir()
    draw(1).save(tmp_path / "private.jpg")
    draw(2).save(folder / "own.jpg")
    captions = {str(tmp_path / "private.jpg"): ["a dog"], "own.jpg": ["a cat"]}
    references, said = folder / "references.json", tmp_path / "said.json"
    references.write_text(json.dumps(captions))
    said.write_text(json.dumps(dict.fromkeys(captions, "a dog")))
    for place in (("--data-dir", folder), ()):
        code, _, _ = run(
            capsys,
            *("--references", references, "--predictions", said, *place),
            *("--html", page, "--examples", "2"),
        )
        assert code == 0
        assert page.read_text().count("outside the data folder") == 3


def write_captions(folder: Path) -> tuple[Path, Path]:
    references, said = folder / "references.json", folder / "said.json"
    references.write_text(json.dumps({"a": ["a dog runs", "the dog"], "b": ["a cat on a chair"]}))
    said.write_text(json.dumps({"a": "a dog runs", "b": "a cat on the chair"}))
    return references, said


@pytest.mark.parametrize("format", ["latex", "markdown", "csv"])
def test_rows_of_a_paper(format: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    references, said = write_captions(tmp_path)
    arguments = ("--references", references, "--predictions", said, "--metrics", "bleu")
    code, out, _ = run(capsys, *arguments, "--compare", said, "--format", format)
    assert code == 0
    assert len(re.findall(r"^\W*said\b", out, re.MULTILINE)) == 2 and "said.json" not in out
    assert "PTB (Stanford CoreNLP 3.4.1" in out
    assert "distinct-1" not in out
    code, _, err = run(capsys, *arguments, "--json", "-", "--format", format)
    assert code == 2
    assert "both print to stdout" in err


def test_a_report_is_verified(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    references, said = write_captions(tmp_path)
    report, other = tmp_path / "report.json", tmp_path / "other.json"
    arguments = ("--references", references, "--predictions", said)
    for place in (report, other):
        assert run(capsys, *arguments, "--json", place)[0] == 0
    assert report.read_bytes() == other.read_bytes()
    code, out, _ = run(capsys, "--verify", report)
    assert code == 0
    assert "every digit holds" in out
    record = json.loads(report.read_text())
    record["corpus"]["METEOR"] += 1e-12
    report.write_text(json.dumps(record))
    code, out, _ = run(capsys, "--verify", report, "--references", references)
    assert code == 1
    assert "1 of " in out and "corpus METEOR: " in out
    code, out, _ = run(capsys, "--verify", report, "--json", "-")
    assert code == 1
    assert [item["where"] for item in json.loads(out)["unlike"]] == ["corpus METEOR"]
    code, _, err = run(capsys, "--verify", report, "--predictions", said)
    assert code == 2
    assert "--verify scores the captions of a report" in err
    page = tmp_path / "page.html"
    for flag, value in (("--html", page), ("--metrics", "bleu"), ("--format", "latex")):
        code, out, err = run(capsys, "--verify", report, flag, value)
        assert (code, out, page.exists()) == (2, "", False)
        assert f"--verify takes no {flag}" in err


def test_a_full_disk_costs_no_scores(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, text: str) -> None:
        raise StorageError(f"No space left to write {path}")

    monkeypatch.setattr("capgen.paths.write_text", full)
    references, said = write_captions(tmp_path)
    arguments = ("--references", references, "--predictions", said, "--metrics", "bleu")
    code, out, err = run(capsys, *arguments, "--json", tmp_path / "r.json")
    assert code == 1
    assert "No space left to write" in err and "BLEU-4" in out


def test_a_metric_that_fails_ends_with_exit_code_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    references, said = write_captions(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    arguments = ("--references", references, "--predictions", said, "--json", tmp_path / "r.json")
    code, out, err = run(capsys, *arguments, "--metrics", "spice,bleu")
    assert code == 1
    assert "BLEU-4" in out
    assert err.count("spice is left out: ") == 1
    record = json.loads((tmp_path / "r.json").read_text())
    assert record["failed_metrics"] == ["spice"]
    assert list(record["left_out"]) == ["spice"]
    code, _, err = run(capsys, *arguments, "--metrics", "spice")
    assert code == 1
    assert "error: " in err


def test_a_metric_that_cannot_be_is_tried_and_told_of_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    references, said = write_captions(tmp_path)
    tried = []

    def unreachable(name: str, **options: object) -> None:
        tried.append(name)
        raise NetworkError("Cannot reach the Hub")

    monkeypatch.setattr("capgen.models.resolve.resolve_model", unreachable)
    arguments = ("--references", references, "--predictions", said, "--compare", said)
    code, out, err = run(capsys, *arguments, "--metrics", "bleu,clipscore")
    assert code == 1
    assert "BLEU-4" in out
    assert err.count("clipscore is left out: Cannot reach the Hub") == len(tried) == 1
    assert "Go online once, or name its folder by --clip-model" in " ".join(err.split())


def test_predictions_without_alternatives_have_the_other_scores(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    references, said = write_captions(tmp_path)
    arguments = ("--references", references, "--predictions", said)
    code, out, err = run(capsys, *arguments, "--metrics", "bleu,diversity")
    assert code == 1
    assert "BLEU-4" in out
    assert "diversity is left out: Diversity is that of several captions per image" in err


def test_another_language(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    references, said = tmp_path / "references.json", tmp_path / "said.json"
    references.write_text(json.dumps({"a": ["zwei Mädchen spielen auf der Straße mit einem Ball"]}))
    said.write_text(json.dumps({"a": "zwei Mädchen auf der Straße"}))
    code, out, err = run(capsys, "--references", references, "--predictions", said)
    assert code == 0
    assert "language: de (guessed from the references)" in out
    assert "METEOR " not in out
    assert "meteor is left out: METEOR's stems and synonyms are English" in err
    arguments = ("--references", references, "--predictions", said, "--language", "en")
    code, out, _ = run(capsys, *arguments)
    assert code == 0
    assert "METEOR " in out


def test_the_differences_come_last_where_they_are_seen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    references, said = write_captions(tmp_path)
    other = tmp_path / "other.json"
    other.write_text(json.dumps(dict.fromkeys(json.loads(references.read_text()), "a red bus")))
    arguments = ("--references", references, "--predictions", said, "--compare", other)
    code, out, _ = run(capsys, *arguments, "--metrics", "cider_d,meteor")
    assert code == 0
    assert out.rindex("CIDEr-D differs by") < out.index("(first) and other.json (second)")
    assert out.index("METEOR (NLTK)") > out.rindex("human")


def test_a_split_of_a_file_of_references_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    references, said = write_captions(tmp_path)
    arguments = ("--references", references, "--predictions", said)
    code, _, err = run(capsys, *arguments, "--split", "nosuch")
    assert code == 2
    assert "the file of --references is used whole" in err
    code, _, err = run(capsys, "--predictions", said)
    assert (code, "There is nothing to score against" in err) == (2, True)
    assert "--references FILE" in err


def test_captions_in_files_are_not_decoded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    references, said = write_captions(tmp_path)
    arguments = ("--references", references, "--predictions", said)
    for more in ((), ("--compare", said)):
        code, _, err = run(capsys, *arguments, *more, "--beams", "5")
        assert (code, "--beams is for models" in err) == (2, True)


def test_rows_of_a_paper_have_the_names_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    references, said = write_captions(tmp_path)
    arguments = ("--references", references, "--predictions", said, "--compare", said)
    names = ("--row-name", "Ours", "--row-name", "Baseline")
    code, out, _ = run(capsys, *arguments, *names, "--format", "markdown")
    assert code == 0
    assert [line[:6] for line in out.split("\n")[2:4]] == ["| Ours", "| Base"]
    code, _, err = run(capsys, *arguments, *names[:2], "--format", "csv")
    assert (code, "--row-name must be given for each row: 2, not 1" in err) == (2, True)
    code, _, err = run(capsys, *arguments, *names)
    assert (code, "names the rows of --format" in err) == (2, True)


def test_captions_without_words_are_called_so(
    flickr: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = tmp_path / "said.json"
    said.write_text(json.dumps({p.name: "..." for p in TEST}))
    page = tmp_path / "page.html"
    code, out, _ = run(capsys, "--data-dir", flickr, "--predictions", said, "--html", page)
    assert code == 0
    assert "Most frequent: no words (4 images)" in out
    assert "most frequent: no words" in page.read_text()
