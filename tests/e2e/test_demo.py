"""`capgen demo`: six images that ship, on a machine that has nothing else."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

from capgen.cli import demo
from capgen.cli.caption import folder as folder_captioning
from capgen.cli.main import main
from capgen.paths import bundled_images
from capgen.reviews.reviewed_records import read_reviewed
from tests.browser import needs_browser
from tests.review_servers import ROOT, Process, change, decide
from tests.reviewing import ADDRESS, ReviewPage, chromium

NAMES = {image.name for image in bundled_images()}


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Temporary folders are made here, where a test sees them."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*")}


def test_the_images_are_six_with_their_licences() -> None:
    licences = (bundled_images()[0].parent / "LICENSES.md").read_text(encoding="utf-8")
    assert len(NAMES) == 6
    assert set(re.findall(r"^\| (\S+\.jpg) \|.*(?:CC0|public domain) \|$", licences, re.M)) == NAMES
    for image in bundled_images():
        with Image.open(image) as opened:
            assert max(opened.size) <= 512


def test_captions_are_shown_with_confidence_and_nothing_stays(
    tmp_path: Path,
    temporary: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CAPGEN_MODEL", "nowhere/none")  # a demo shows what ships
    assert main(["demo", "--no-review"]) == 0
    out, err = capsys.readouterr()
    _, *lines = out.splitlines()
    assert "a man holding a camera on a tripod" in out
    assert {line.split()[0] for line in lines if line[0] != " "} == NAMES
    assert all(re.search(r" 0\.\d\d *$", line) for line in lines if line[0] != " ")
    assert all(f"next: {command}" in err for command, _ in demo.NEXT)
    assert files(tmp_path) == {"here", "temporary"}


def test_json_is_that_of_captions(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--no-review", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert main(["caption", *map(str, bundled_images()), "--json", "--scores"]) == 0
    plain = json.loads(capsys.readouterr().out)
    for one, other in zip(found, plain, strict=True):
        assert Path(one["path"]).name == Path(other["path"]).name
        assert one["caption"] == other["caption"] and one["sha256"]
        assert one["confidence"] == pytest.approx(other["confidence"], abs=1e-4)


def test_a_folder_keeps_everything_for_the_next_commands(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["demo", "--no-review", "-o", "my demo"]) == 0
    folder = Path("my demo")
    assert files(folder) == {*NAMES, "captions.jsonl"}
    for image in bundled_images():
        assert (folder / image.name).read_bytes() == image.read_bytes()
    assert "capgen review 'my demo/captions.jsonl' goes on" in capsys.readouterr().err
    assert main(["apply", "my demo/captions.jsonl", "--write-metadata"]) == 0
    assert (folder / "cat.jpg").read_bytes() != bundled_images()[1].read_bytes()
    capsys.readouterr()
    before = {path: path.read_bytes() for path in folder.iterdir()}
    assert main(["demo", "--no-review", "-o", "my demo"]) == 2
    assert "hint: Name a new folder, or go on" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    (folder / "captions.jsonl").unlink()
    assert main(["demo", "--no-review", "-o", "my demo"]) == 2
    assert "hint: Name a new folder.\n" in capsys.readouterr().err


def test_a_place_that_cannot_be_written_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    assert main(["demo", "--no-review", "-o", str(tmp_path / "file")]) == 1
    assert "Cannot write" in capsys.readouterr().err
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    assert main(["demo", "--no-review"]) == 1
    shown = capsys.readouterr()
    assert "Cannot write a temporary folder" in shown.err and shown.out == ""


def test_ctrl_c_while_captions_are_made(
    temporary: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def pressed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(folder_captioning, "run_batch", pressed)
    assert main(["demo"]) == 130
    assert capsys.readouterr() == ("", "")
    assert files(temporary) == set()


def test_the_page_until_it_is_ended(tmp_path: Path, temporary: Path) -> None:
    process = Process("--no-review", "--review", "--json", folder=tmp_path, command="demo")
    client = process.client()
    rows = client.get("/api/items").json()["items"]
    assert {Path(row["path"]).name for row in rows} == NAMES
    assert decide(client, change(rows[0]["id"])).status_code == 200
    assert len(files(temporary)) > 6
    process.process.send_signal(signal.SIGTERM)
    out, said = process.process.communicate(timeout=60)
    assert process.process.returncode == 0
    assert len(json.loads(out)) == 6
    assert "removed at the end; -o FOLDER keeps them" in process.said
    assert "1 of 6 images reviewed" in said and "next: capgen review holiday/ -r" in said
    assert files(temporary) == set()


@contextmanager
def without_display(folder: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run `capgen demo` where no browser can open a window; yield what it has said so far."""
    displays = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    around = {name: value for name, value in os.environ.items() if name not in displays}
    process = subprocess.Popen(
        [sys.executable, "-m", "capgen", "demo", *arguments],
        cwd=folder,
        env={**around, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    said = ""
    while "no browser could be opened" not in said:
        line = process.stderr.readline()
        assert line, said
        said += line
    try:
        yield process, said
    finally:
        process.kill()
        process.communicate()


@needs_browser
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is always a display")
def test_the_page_in_a_browser_that_one_opens_oneself(tmp_path: Path) -> None:
    folder = "a folder with a rather long name"
    with without_display(tmp_path, "-o", folder) as (process, said), chromium() as browser:
        context = browser.new_context(viewport={"width": 1200, "height": 800})
        page = ReviewPage.in_context(context)
        address = ADDRESS.search(said)
        assert address is not None
        page.open(address[0])
        page.wait_text("#name", "cat.jpg")
        page.page.wait_for_function(
            "() => document.querySelectorAll('img').length > 0 && "
            "[...document.querySelectorAll('img')].every((img) => img.naturalWidth > 0)"
        )
        name = page.page.locator(".row-name").first
        assert name.inner_text().startswith("…") and name.inner_text().endswith("/cat.jpg")
        assert name.evaluate("(shown) => shown.scrollWidth <= shown.clientWidth")
        page.press("r", "a")
        page.wait_all_saved()
        assert page.faults == []
        process.send_signal(signal.SIGINT)
        process.wait(60)
    verdicts = [
        record.review and record.review.verdict
        for record in read_reviewed(tmp_path / folder / "captions.jsonl")
    ]
    assert sorted(verdict for verdict in verdicts if verdict) == ["accepted", "rejected"]
