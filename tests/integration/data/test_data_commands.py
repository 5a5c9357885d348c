"""`capgen data …` through `main`, as the program runs it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from capgen.cli.main import main
from tests.minis import draw, make_images, write_flickr8k


@pytest.fixture
def flickr(tmp_path: Path) -> Path:
    return write_flickr8k(tmp_path / "mini8k", make_images())


def run(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    code = main(["data", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_from_import_to_removal(
    flickr: Path, tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
):
    code, out, _ = run(capsys, "import", flickr, "--name", "mine")
    assert code == 0
    assert out == (
        f"mine: 10 images, 50 captions; train 6, val 2, test 2; in {home / 'datasets' / 'mine'}\n"
    )
    code, out, _ = run(capsys, "list", "--json")
    assert {row["name"]: row["installed"] for row in json.loads(out)} == {
        "flickr8k": False,
        "flickr30k": False,
        "coco": False,
        "coco2017": False,
        "mine": True,
    }
    code, out, _ = run(capsys, "info", "mine", "--json")
    record = json.loads(out)
    assert (record["pictures"], record["captions"]) == (10, 50)
    assert record["width"]["median"] == 48 and record["formats"] == {"JPEG": 10}
    assert record["length_histogram"] == {"9": 50}
    assert record["digest"].startswith("sha256:")
    code, out, _ = run(capsys, "info", "mine")
    assert code == 0 and "vocabulary" in out and "█" in out
    page = tmp_path / "page.html"
    code, out, _ = run(capsys, "preview", "mine", "--samples", "4", "-o", page)
    assert (code, out) == (0, f"{page}\n")
    text = page.read_text(encoding="utf-8")
    assert len(re.findall("<img ", text)) == 4 and "http:" not in text
    assert run(capsys, "remove", "mine")[0] == 2  # there is nobody to ask
    assert run(capsys, "remove", "mine", "--yes")[0] == 0
    code, _, err = run(capsys, "info", "mine")
    assert code == 1 and "Unknown data set 'mine'" in err


def test_doctor(flickr: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    code, out, _ = run(capsys, "doctor", flickr)
    assert code == 0 and "No problems found" in out
    next((flickr / "Flicker8k_Dataset").iterdir()).write_bytes(b"")
    code, out, _ = run(capsys, "doctor", flickr, "--strict")
    assert code == 1 and "image_empty" in out
    code, out, _ = run(capsys, "doctor", flickr, "--json")
    assert code == 0
    assert json.loads(out)["counts"] == {"image_empty": 1}
    clean = tmp_path / "clean.jsonl"
    code, _, err = run(capsys, "doctor", flickr, "--fix", "-o", clean)
    assert code == 0 and "9 images, 45 captions" in err
    code, out, _ = run(capsys, "doctor", clean, "--strict")
    assert code == 0


def test_captions_of_images_that_doctor_leaves_out_are_told(
    flickr: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    next((flickr / "Flicker8k_Dataset").iterdir()).unlink()
    code, out, err = run(capsys, "doctor", flickr, "--fix", "-o", tmp_path / "clean.jsonl")
    assert code == 0 and "missing image, with its captions" in out
    assert "9 images, 45 captions (1 images and 5 captions left out" in err


def test_lines_that_doctor_cannot_read_are_told_as_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        draw(1).save(tmp_path / name)
    (tmp_path / "captions.csv").write_text('image,caption\na.jpg,a dog runs\nb.jpg,"a cat sits\n')
    code, _, err = run(capsys, "doctor", tmp_path, "--fix", "-o", tmp_path / "clean.jsonl")
    assert code == 0
    # b.jpg, whose line is broken, and c.jpg, which has none.
    assert "1 images, 1 captions (2 images and 1 captions left out" in err


def test_markup_in_names_and_captions_is_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    root = tmp_path / "[red]"
    root.mkdir()
    draw(1).save(root / "[bold].jpg")
    (root / "[bold].txt").write_text("<script>alert(1)</script> [blue] dog\n")
    page = tmp_path / "page.html"
    assert run(capsys, "preview", root, "-o", page)[0] == 0
    text = page.read_text()
    assert "<script>" not in text and "&lt;script&gt;" in text
    _, out, _ = run(capsys, "doctor", root)
    assert "[bold].jpg: markup in '<script>" in out
    _, out, _ = run(capsys, "info", root)
    assert "[red]" in out


def test_errors_have_no_traceback(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for arguments, code, message in (
        (("info", tmp_path / "absent"), 1, "No such file or folder"),
        (("download", "flikr8k"), 2, "Did you mean 'flickr8k'?"),
        (("download", "flickr30k"), 2, "--accept-terms"),
        (("remove", "nothing"), 1, "Unknown data set"),
        (("import", tmp_path, "--name", "a/b"), 2, "cannot be a data set's name"),
        (("import", tmp_path, "--name", "x", "--val-fraction", "2"), 2, "between 0.0 and 0.9"),
        (("preview", tmp_path, "--split", "nope"), 1, "not in a known layout"),
    ):
        got, _, err = run(capsys, *arguments)
        assert (got, "Traceback" in err) == (code, False), arguments
        assert message in err


def test_cache(capsys: pytest.CaptureFixture[str], flickr: Path):
    run(capsys, "info", flickr)  # leaves checksums behind
    _, out, _ = run(capsys, "cache", "--json")
    assert [part["files"] for part in json.loads(out)] == [1]
    code, out, _ = run(capsys, "cache", "--clear")
    assert code == 0 and out.startswith("Freed ")
    assert json.loads(run(capsys, "cache", "--json")[1]) == []


def test_a_preview_shows_nothing_from_outside_a_folder_that_was_not_imported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    root, page = tmp_path / "set", tmp_path / "page.html"
    root.mkdir()
    draw(1).save(tmp_path / "private.jpg")
    draw(2).save(root / "own.jpg")
    (root / "link.jpg").symlink_to(tmp_path / "private.jpg")
    rows = f"own.jpg,mine\nlink.jpg,a link\n{tmp_path / 'private.jpg'},by name\n"
    (root / "captions.csv").write_text("image,caption\n" + rows)
    code, _, err = run(capsys, "preview", root, "-o", page)
    assert code == 0
    assert page.read_text().count("<img") == 1
    assert "outside the data folder" in err
    # One who imports with --link has said that the images may be anywhere.
    assert run(capsys, "import", root, "--name", "all", "--link")[0] == 0
    assert run(capsys, "preview", "all", "-o", page)[0] == 0
    assert page.read_text().count("<img") == 3


def test_a_preview_without_a_name_replaces_only_a_preview(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    root, page = tmp_path / "set", tmp_path / "set-preview.html"
    root.mkdir()
    draw(2).save(root / "own.jpg")
    (root / "captions.csv").write_text("image,caption\nown.jpg,mine\n")
    monkeypatch.chdir(tmp_path)
    page.write_text("<!doctype html>\n<html><body>my holidays</body></html>\n")
    code, out, err = run(capsys, "preview", root)
    assert (code, out) == (2, "")
    assert "set-preview.html is a web page: nothing is written to it" in err
    assert "my holidays" in page.read_text()
    page.unlink()
    for _ in range(2):  # its own is replaced
        assert run(capsys, "preview", root)[:2] == (0, "set-preview.html\n")
    # A file that was named may be any web page.
    page.write_text("<!doctype html>\n<html><body>my holidays</body></html>\n")
    assert run(capsys, "preview", root, "-o", page)[0] == 0
    assert "my holidays" not in page.read_text()
