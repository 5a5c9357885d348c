"""`capgen caption --tags`, with a captioner that says the red of an image and sees things in it."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from capgen.captioning.captioner import Captioner
from capgen.cli.main import main
from capgen.images.metadata.facts import keywords, read_blocks
from capgen.images.metadata.xmp_lists import read_list
from capgen.paths import bundled_model_dir
from capgen.records import Concept
from tests.colours import ColourRuntime, colour_captioner, plain, plains

pytestmark = pytest.mark.usefixtures("handlers_put_back")
SEEN = (Concept("teddy bear", 0.9), Concept("bed", 0.5), Concept("sofa", 0.2))
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> ColourRuntime:
    captioner, runtime = colour_captioner(concepts=SEEN)
    monkeypatch.setattr(Captioner, "from_options", lambda *_, **__: captioner)
    return runtime


@pytest.fixture
def caption(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """Run the command in a folder of its own; return exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(["caption", *arguments])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


@pytest.mark.usefixtures("runtime")
def test_they_are_the_last_field_of_each_line(tmp_path: Path, caption: Run) -> None:
    plain(tmp_path, "a.png", 0)
    plain(tmp_path, "b.png", 255)
    assert caption("a.png") == (0, "0 0\n", "")
    assert caption("a.png", "--tags")[:2] == (0, "0 0\tteddy bear, bed\n")
    assert caption("a.png", "--tags", "--num-captions", "2")[1].splitlines() == [
        "0 0\tteddy bear, bed",
        "0 1\tteddy bear, bed",
    ]
    lines = caption("a.png", "b.png", "--tags", "--min-tag-probability", "0.95")[1].splitlines()
    assert lines == ["a.png\t0 0\t-", "b.png\t255 0\tred thing"]
    (line,) = caption("a.png", "--tags", "--scores")[1].splitlines()
    text, confidence, score, tags = line.split("\t")
    assert (text, confidence, tags) == ("0 0", "-", "teddy bear, bed") and float(score) < 0


@pytest.mark.usefixtures("runtime")
@pytest.mark.parametrize("asked", [(), ("--tags",)])
def test_records_have_concepts_whether_or_not_tags_are_asked_for(
    tmp_path: Path, caption: Run, asked: tuple[str, ...]
) -> None:
    plain(tmp_path, "a.png", 0)
    code, out, _ = caption("a.png", "--json", *asked)
    (record,) = json.loads(out)
    assert code == 0 and len(record["concepts"]) == 4
    assert record["concepts"][0] == {"name": "teddy bear", "probability": 0.9}


def test_a_run_goes_on_with_tags(tmp_path: Path, caption: Run, runtime: ColourRuntime) -> None:
    """Concepts are in the journal, so that no image is captioned again for its tags."""
    plains(tmp_path, 3)
    names = [f"{red:03}.png" for red in range(3)]
    assert caption(*names, "-o", "x.csv")[0] == 0
    assert "tags" not in (tmp_path / "x.csv").read_text()
    seen = runtime.seen
    assert caption(*names, "-o", "x.csv", "--tags")[0] == 0
    assert runtime.seen == seen
    assert (tmp_path / "x.csv").read_text().count('"teddy bear, bed"') == 3


def test_a_model_without_concepts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caption: Run
) -> None:
    captioner, runtime = colour_captioner()
    monkeypatch.setattr(Captioner, "from_options", lambda *_, **__: captioner)
    plains(tmp_path, 2)
    for arguments in (("000.png",), ("000.png", "001.png"), ("000.png", "-o", "x.jsonl")):
        code, out, err = caption(*arguments, "--tags", "--model", "colours")
        assert (code, out) == (2, "")
        assert "--tags needs a model with a concept head: colours has none" in err
        assert "the bundled model has one" in err
    assert runtime.seen == 0 and not (tmp_path / "x.jsonl").exists()
    assert "Leave out --tags." in caption("000.png", "--tags")[2]
    monkeypatch.setattr(runtime, "answers", True)
    assert "--prompt tags" in caption("000.png", "--tags", "--model", "colours")[2]


def test_a_model_on_a_server_is_not_even_asked(tmp_path: Path, caption: Run) -> None:
    plains(tmp_path, 1)
    endpoint = ("--endpoint", "http://user:secret@192.0.2.1:9/v1", "--model", "m")
    for more in ((), ("--dry-run",)):
        code, out, err = caption("000.png", *endpoint, "--tags", *more)
        assert (code, out) == (2, "")
        assert "--tags needs a model with a concept head" in err and "--prompt tags" in err
        assert "secret" not in err


@pytest.mark.usefixtures("runtime")
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tif"])
def test_keywords_of_images(tmp_path: Path, caption: Run, name: str) -> None:
    path = plain(tmp_path, name, 0)
    before = path.read_bytes()
    code, out, err = caption(name, "--write-metadata", "--tags")
    assert (code, out) == (0, "") and "captions and tags written into 1 image\n" in err
    assert keywords(read_blocks(path.read_bytes())) == ("teddy bear", "bed")
    once = path.read_bytes()
    assert "into 0 images" in caption(name, "--write-metadata", "--tags")[2]
    assert path.read_bytes() == once
    # A higher probability takes back what capgen wrote.
    caption(name, "--write-metadata", "--tags", "--min-tag-probability", "0.6")
    assert keywords(read_blocks(path.read_bytes())) == ("teddy bear",)
    assert "2 changes undone" in caption("--undo", "capgen-undo.jsonl")[2]
    assert path.read_bytes() == before
    # Not asked for, they are not written.
    caption(name, "--write-metadata")
    assert keywords(read_blocks(path.read_bytes())) == ()


@pytest.mark.usefixtures("runtime")
def test_a_dry_run_writes_none(tmp_path: Path, caption: Run) -> None:
    path = plain(tmp_path, "a.jpg", 0)
    before = path.read_bytes()
    err = caption("a.jpg", "--write-metadata", "--tags", "--dry-run")[2]
    assert "captions and tags would be written into 1 image\n" in err
    assert path.read_bytes() == before


@pytest.mark.usefixtures("runtime")
def test_sidecars(tmp_path: Path, caption: Run) -> None:
    plain(tmp_path, "a.png", 0)
    assert caption("a.png", "--sidecar", ".txt", "--tags")[:2] == (0, "")
    assert (tmp_path / "a.txt").read_text() == "0 0, teddy bear, bed\n"
    # An XMP sidecar whose description stays gets tags all the same; the caption is printed.
    caption("a.png", "--sidecar", ".xmp")
    assert read_list((tmp_path / "a.xmp").read_bytes()) == []
    code, out, err = caption("a.png", "--sidecar", ".xmp", "--tags", "--prefix", "x ")
    assert (code, out) == (0, "x 0 0\tteddy bear, bed\n") and "keeps what is there" in err
    assert read_list((tmp_path / "a.xmp").read_bytes()) == ["teddy bear", "bed"]
    once = (tmp_path / "a.xmp").read_bytes()
    caption("a.png", "--sidecar", ".xmp", "--tags")
    assert (tmp_path / "a.xmp").read_bytes() == once


@pytest.mark.usefixtures("runtime")
@pytest.mark.skipif(shutil.which("exiftool") is None, reason="needs exiftool")
def test_exiftool_reads_what_the_command_wrote(tmp_path: Path, caption: Run) -> None:
    plain(tmp_path, "a.jpg", 0)
    plain(tmp_path, "b.png", 0)
    assert caption("a.jpg", "--write-metadata", "--tags")[0] == 0
    assert caption("b.png", "--sidecar", ".xmp", "--tags")[0] == 0
    command = ["exiftool", "-j", "-G1", "a.jpg", "b.xmp"]
    found = json.loads(subprocess.run(command, cwd=tmp_path, capture_output=True).stdout)
    wanted: list[Any] = ["teddy bear", "bed"]
    assert found[0]["XMP-dc:Subject"] == found[0]["IPTC:Keywords"] == wanted
    assert found[1]["XMP-dc:Subject"] == wanted and "ExifTool:Warning" not in found[1]


@pytest.mark.usefixtures("runtime")
@pytest.mark.parametrize(
    ("avoided", "tags"),
    [
        ("bear", "bed"),
        ("Teddy Bear,ted", "bed"),
        ("bea,beds", "teddy bear, bed"),
        ("bed,bear", "-"),
    ],
)
def test_a_word_to_avoid_is_no_tag(tmp_path: Path, caption: Run, avoided: str, tags: str) -> None:
    plain(tmp_path, "a.png", 0)
    assert caption("a.png", "--tags", "--avoid-words", avoided)[1].endswith(f"\t{tags}\n")


def test_a_head_whose_table_is_lost_is_told_as_such(tmp_path: Path, caption: Run) -> None:
    shutil.copytree(bundled_model_dir(), tmp_path / "model")
    (tmp_path / "model" / "concepts.json").unlink()
    plain(tmp_path, "a.png", 0)
    code, out, err = caption("a.png", "--tags", "--model", "./model")
    assert (code, out) == (2, "")
    assert "--tags needs concepts.json, which ./model has lost" in err
