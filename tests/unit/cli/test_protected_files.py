"""No option that names an output destroys an input or an image: refused before any work."""

from __future__ import annotations

import io
import json
import shutil
import sys
from pathlib import Path

import pytest

from capgen.cli.main import main
from tests.fakes import draw_image

pytestmark = pytest.mark.usefixtures("handlers_put_back")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with everything that an option could destroy; the working directory."""
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(("p.jpg", "q.jpg", "p.png", "in/a.jpg", "in/b.jpg")):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        draw_image(number, (64, 48)).save(path)
    (tmp_path / "hard.json").hardlink_to(tmp_path / "p.jpg")
    (tmp_path / "link.json").symlink_to("p.jpg")
    shutil.copy("q.jpg", "x.jsonl.journal")
    shutil.copy("q.jpg", "in/a.orig")
    (tmp_path / "raw.dng").write_bytes(b"II*\0" + bytes(range(200)))
    (tmp_path / "film.json").write_bytes(b"\0\0\0\x18ftypmp42" + bytes(12))
    (tmp_path / "images.csv").write_text("path\np.jpg\n")
    (tmp_path / "images.jsonl").write_text('{"path": "p.jpg"}\n')
    (tmp_path / "in" / "captions.csv").write_text("image,caption\na.jpg,A dog\nb.jpg,A cat\n")
    references = {"a.jpg": ["a dog"], "b.jpg": ["a cat"]}
    (tmp_path / "references.json").write_text(json.dumps(references))
    (tmp_path / "predictions.json").write_text('{"a.jpg": "a dog", "b.jpg": "a cat"}')
    (tmp_path / "config.toml").write_text('preset = "mini"\n')
    shutil.make_archive(str(tmp_path / "shard"), "tar", tmp_path / "in")
    return tmp_path


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


EVAL = "eval --predictions predictions.json --references references.json"
REFUSED = [
    # --- one image, many images, lists and archives
    ("caption p.jpg -o p.jpg --format json", "-o p.jpg is an input"),
    ("caption p.jpg -o ./in/../p.jpg --format csv", "p.jpg is an input"),
    ("caption p.jpg -o hard.json", "hard.json is an input"),
    ("caption p.jpg -o link.json", "link.json is an input"),
    ("caption p.jpg -o q.jpg --format jsonl", "q.jpg is a JPEG image"),
    ("caption p.jpg -o q.jpg --format html", "q.jpg is a JPEG image"),
    ("caption p.jpg -o raw.dng --format text", "raw.dng is a TIFF image"),
    ("caption p.jpg -o film.json", "film.json is a video"),
    ("caption in -o in/a.jpg --format json", "in/a.jpg is an input"),
    ("caption 'in/*.jpg' -o in/b.jpg --format json", "in/b.jpg is an input"),
    ("caption p.jpg -o x.jsonl", "x.jsonl.journal is a JPEG image"),
    ("caption --manifest images.csv -o images.csv", "images.csv is an input"),
    ("caption --manifest images.jsonl -o images.jsonl", "images.jsonl is an input"),
    ("caption shard.tar -o shard.tar --format jsonl", "shard.tar is an input"),
    ("caption images.csv -o images.csv", "images.csv is an input"),
    # --- sidecars
    ("caption p.jpg --sidecar .jpg --on-existing overwrite", "suffix of images"),
    ("caption p.jpg --sidecar png --on-existing append", "suffix of images"),
    ("caption p.jpg --sidecar .JPEG", "suffix of images"),
    ("caption p.jpg --sidecar .aae --on-existing prepend", "image editors' settings"),
    ("caption shard.tar p.jpg --sidecar .json", "structured files"),
    ("caption in --sidecar .orig --on-existing overwrite", "in/a.orig is a JPEG image"),
    ("caption in/a.orig in/a.jpg --sidecar .orig --on-existing append", "in/a.orig is an input"),
    ("caption in -o in/a.txt --sidecar .txt", "in/a.txt is both a sidecar and another output"),
    # --- a closer look
    ("caption p.jpg --explain p.jpg", "--explain p.jpg is an input"),
    ("caption p.jpg --explain q.jpg", "--explain q.jpg is a JPEG image"),
    ("caption p.jpg --explain p.png", "--explain p.png is a PNG image"),
    ("caption p.png --debug --save-input p.png", "--save-input p.png is an input"),
    ("caption p.jpg --debug --save-input p.png", "--save-input p.png is a PNG image"),
    ("caption p.jpg --debug --explain new.png --save-input new.png", "both write new.png"),
    # --- the undo file and the log
    ("caption p.jpg --write-metadata --undo-file p.jpg", "--undo-file p.jpg is an input"),
    ("caption p.jpg --write-metadata --undo-file q.jpg", "--undo-file q.jpg is a JPEG image"),
    ("caption in --write-metadata --undo-file images.csv", "--undo-file images.csv is text"),
    (
        "caption --manifest images.jsonl --write-metadata --undo-file images.jsonl",
        "--undo-file images.jsonl is an input",
    ),
    ("caption p.jpg --write-metadata -o new.jsonl --undo-file new.jsonl", "both write new.jsonl"),
    ("caption p.jpg --log-level info --log-file p.jpg", "--log-file p.jpg is an input"),
    ("caption p.jpg --log-file=q.jpg", "--log-file q.jpg is a JPEG image"),
    ("--log-file in/a.jpg caption in", "--log-file in/a.jpg is a JPEG image"),
    ("caption --manifest images.csv --log-file ./images.csv", "images.csv is an input"),
    ("caption --manifest=images.csv --log-file images.csv", "images.csv is an input"),
    ("caption p.jpg -o new.jsonl --log-file new.jsonl", "is also used by the command"),
    ("caption p.jpg -onew.jsonl --log-file new.jsonl", "is also used by the command"),
    ("caption p.jpg -o new.csv --log-file new.csv.journal", "is the journal of new.csv"),
    ("caption p.jpg --output=new.csv --log-file=./new.csv.journal", "is the journal of new.csv"),
    ("data info in --log-file in/captions.csv", "is not a log"),
    ("config path --log-file references.json", "is not a log"),
    # --- reports and what else commands write
    (f"{EVAL} --json references.json", "--json references.json is an input"),
    (f"{EVAL} --json ./predictions.json", "--json predictions.json is an input"),
    (f"{EVAL} --json images.jsonl", "--json images.jsonl is text"),
    (f"{EVAL} --json q.jpg", "--json q.jpg is a JPEG image"),
    (f"{EVAL} --html q.jpg", "--html q.jpg is a JPEG image"),
    (f"{EVAL} --html in/captions.csv", "--html in/captions.csv is text"),
    (f"{EVAL} --json new.html --html new.html", "--json and --html both write new.html"),
    (
        "models compare mini mini:int8 --data-dir in/captions.csv --html in/captions.csv",
        "is an input",
    ),
    ("models compare mini mini:int8 --data-dir in --json q.jpg", "--json q.jpg is a JPEG image"),
    ("data preview in -o in/a.jpg", "in/a.jpg is a JPEG image"),
    ("data preview in/captions.csv -o in/captions.csv", "in/captions.csv is an input"),
    ("data preview in -o in/captions.csv", "in/captions.csv is text"),
    ("data doctor in --fix -o in/captions.csv", "in/captions.csv is text"),
    ("data doctor in --fix -o in/a.jpg", "in/a.jpg is a JPEG image"),
    ("calibrate --data-dir in -o q.jpg", "-o q.jpg is a JPEG image"),
    ("calibrate --data-dir in -o references.json", "-o references.json is text"),
    ("train --config config.toml --data-dir in --output-dir .", "config.toml is text"),
]


@pytest.mark.parametrize(("command", "told"), REFUSED, ids=[command for command, _ in REFUSED])
def test_it_is_refused_before_anything_is_written(
    place: Path, capsys: pytest.CaptureFixture[str], command: str, told: str
) -> None:
    before = contents(place)
    code = main([word.strip("'") for word in command.split()])
    error = capsys.readouterr().err
    assert (code, contents(place) == before) == (2, True)
    assert error.startswith("error: ") and told in error.splitlines()[0]
    assert "Traceback" not in error


def test_a_list_on_stdin_is_an_input(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "list.txt").write_text("p.jpg\n")
    with (place / "list.txt").open("rb") as file:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(file))
        assert main(["caption", "-", "-o", "list.txt"]) == 2
    assert "list.txt is an input, stdin" in capsys.readouterr().err
    assert (place / "list.txt").read_text() == "p.jpg\n"


def test_what_capgen_wrote_itself_is_replaced(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    again = [
        *("caption p.jpg -o x.json", "caption p.jpg -o x.csv", "caption p.jpg -o x.html"),
        *("caption p.jpg --explain x.png", "caption p.jpg --explain y.html"),
        *("caption p.jpg --debug --save-input y.png", "caption p.jpg --sidecar .txt"),
        "caption p.jpg --write-metadata --undo-file x.undo -o y.jsonl",
        *("caption p.jpg --log-level info --log-file x.log", f"{EVAL} --json z.json --html z.html"),
        *("data preview in -o w.html", "data doctor in --fix -o w.jsonl"),
    ]
    for command in again:
        for _ in range(2):
            assert main(command.split()) == 0, capsys.readouterr().err
