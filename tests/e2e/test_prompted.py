"""A model that follows prompts, on the command line: whole processes and whole commands."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from capgen.cli.main import main
from tests import tiny_prompted
from tests.e2e.test_batch import make
from tests.forked_commands import needs_fork, starter
from tests.minis import make_images, write_flickr8k

SCORES = ("log_probability", "score", "tokens")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_prompted.qwen2_vl(tmp_path_factory.mktemp("model") / "tiny-qwen")


@pytest.fixture(autouse=True)
def workplace(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("workplace"))


def records(path: Path) -> Iterator[dict]:
    yield from (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())


def without_scores(record: dict) -> dict:
    return {name: value for name, value in record.items() if name not in SCORES}


@needs_fork
def test_killed_again_and_again(model: Path, tmp_path: Path) -> None:
    """After three SIGKILLs no caption is lost, doubled or changed."""
    images = make(tmp_path / "photos", 24)
    asked = ("caption", images, "--model", model, "--prompt", "Say all", "--max-length", "6")
    output, journal = tmp_path / "killed.jsonl", tmp_path / "killed.jsonl.journal"
    with starter(tmp_path / "said") as capgen:
        code, _, err = capgen.run(*asked, "-o", tmp_path / "whole.jsonl", "-q")
        assert code == 0, err
        for wanted in (3, 8, 14):
            command = capgen.start(*asked, "-o", output, "-q", "--batch-size", "2")
            deadline = time.monotonic() + 90
            while command.poll() is None and time.monotonic() < deadline:
                if journal.exists() and journal.read_bytes().count(b"\n") >= wanted:
                    break
                time.sleep(0.01)
            assert command.poll() is None, command.wait()[2]
            assert command.kill(signal.SIGKILL) == -signal.SIGKILL
        code, _, err = capgen.run(*asked, "-o", output, "--batch-size", "4")
    assert code == 0 and "from an earlier run" in err
    # Sums in batches of other sizes differ in their last digits.
    whole = [without_scores(record) for record in records(tmp_path / "whole.jsonl")]
    made = list(records(output))
    assert [without_scores(record) for record in made] == whole
    assert len({record["path"] for record in made}) == len(made) == 24
    assert all(record["settings"]["prompt"] == "Say all" for record in made)


def test_another_prompt_is_another_run(model: Path, tmp_path: Path) -> None:
    images = make(tmp_path / "photos", 3)
    output = tmp_path / "c.jsonl"

    def run(*more: str) -> list[str]:
        arguments = ["caption", str(images), "--model", str(model), "--max-length", "5"]
        assert main([*arguments, "-o", str(output), "-q", *more]) == 0
        return [record["caption"] for record in records(output)]

    first = run("--prompt", "Say all")
    assert run("--prompt", "Say nothing at all") != first
    assert run("--prompt", "Say all", "--system", "Be brief") != first
    assert run("--prompt", "Say all") == first


def test_evaluation_comparison_and_listing(model: Path, tmp_path: Path, capsys) -> None:
    write_flickr8k(tmp_path / "data", make_images(20, seed=3))
    where = ("--data-dir", str(tmp_path / "data"), "--split", "val", "--resamples", "100")
    asked = ("--prompt", "alt", "--max-length", "6")
    record = tmp_path / "evaluated.json"
    assert main(["eval", "--model", str(model), *where, *asked, "--json", str(record)]) == 0
    evaluated = json.loads(record.read_text())
    assert evaluated["system"]["settings"]["prompt"].startswith("Write alternative text")
    record = tmp_path / "compared.json"
    both = ["models", "compare", str(model), "mini", *where, "--no-speed"]
    assert main([*both, "--json", str(record)]) == 0
    compared = json.loads(record.read_text())
    assert [item["problem"] for item in compared["models"]] == ["", ""]
    capsys.readouterr()
    assert main(["models", "show", str(model), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["problem"] == "" and shown["parameters"] > 10_000


def test_what_cannot_be_done_is_said(model: Path, tmp_path: Path, capsys) -> None:
    image = make(tmp_path / "photos", 1) / "photo0.jpg"
    given = ["caption", str(image), "--model", str(model), "--max-length", "4"]
    assert main([*given, "--explain", str(tmp_path / "x.html")]) == 1
    assert "cannot show where a 'qwen2_vl' model looks" in " ".join(capsys.readouterr().err.split())
    assert main([*given, "--min-confidence", "0.5"]) == 2
    assert "not calibrated" in capsys.readouterr().err
    assert main([*given, "--debug"]) == 0
    told = capsys.readouterr()
    assert "No runners-up" in told.out + told.err
    assert main([*given, "--runtime", "onnx"]) == 1
    assert "follows prompts" in capsys.readouterr().err
