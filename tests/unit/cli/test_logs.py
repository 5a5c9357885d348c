"""`--log-level` and `--log-file`."""

from __future__ import annotations

import hashlib
import json
import logging
import sys
from pathlib import Path

import pytest

from capgen.cli.logs import JsonLines, Redacting
from capgen.cli.main import main
from tests.fakes import draw_image

pytestmark = pytest.mark.usefixtures("handlers_put_back")


def test_the_file_tells_what_was_loaded_and_why_it_failed(tmp_path, capsys):
    draw_image(1, (64, 64)).save(tmp_path / "photo.png")
    file = tmp_path / "logs" / "run.log"
    options = ["--log-level", "debug", "--log-file", str(file)]
    assert main([*options, "caption", str(tmp_path / "photo.png")]) == 0
    captured = capsys.readouterr()
    assert captured.err == "" and captured.out.strip()
    assert "ONNX Runtime" in file.read_text()
    assert main([*options, "caption", str(tmp_path / "photo.png"), "--model", "./none"]) == 1
    assert "ModelNotFoundError" in file.read_text()  # the traceback is here
    assert "Traceback" not in capsys.readouterr().err


def test_the_log_tells_what_was_decided_and_why(tmp_path, capsys, home, monkeypatch):
    for name in ("a", "b"):
        draw_image(1, (64, 64)).save(tmp_path / f"{name}.png")
    home.mkdir(exist_ok=True)
    (home / "config.toml").write_text("beams = 2\n")
    monkeypatch.setenv("HF_TOKEN", "sesame-open-12")
    file, output = tmp_path / "run.log", tmp_path / "out.jsonl"
    options = ["--log-level", "debug", "--log-file", str(file)]
    images = [str(tmp_path / "a.png"), str(tmp_path / "b.png")]
    assert main([*options, "caption", *images, "-o", str(output), "--batch-size", "3"]) == 0
    log = file.read_text()
    assert f"{home / 'config.toml'} sets for caption: {{'beams': 2}}" in log
    assert "model None is the bundled one" in log
    assert "ONNX Runtime (it has ONNX graphs, and runs on the CPU)" in log
    assert "'beams': 2" in log and "asked for: ['beams'" in log
    assert "batches of 3, " in log
    assert "out.jsonl.journal holds 0 records of the same work" in log
    assert "sesame" not in log
    assert main([*options, "caption", images[0], "--runtime", "torch"]) == 0
    assert "torch (--runtime torch)" in file.read_text()


def run_of_two(tmp_path: Path, *options: str) -> int:
    draw_image(1, (64, 64)).save(tmp_path / "photo.png")
    (tmp_path / "broken.png").write_text("no image")
    images = [str(tmp_path / name) for name in ("photo.png", "broken.png")]
    output = ("-o", str(tmp_path / "out.jsonl"), "--no-resume")
    return main(["caption", *images, *output, *options])


@pytest.mark.parametrize("quiet", [False, True])
def test_the_file_holds_failures_and_the_summary(tmp_path, capsys, quiet):
    file = tmp_path / "run.log"
    assert run_of_two(tmp_path, "--log-file", str(file), *["--quiet"] * quiet) == 1
    told = capsys.readouterr().err
    assert ("broken.png: not an image" in told) != quiet
    assert told.count("broken.png") == (not quiet)  # the log is not on stderr, too
    log = file.read_text()
    assert "ERROR capgen.messages: " in log and "broken.png: not an image" in log
    assert f"1 caption written to {tmp_path / 'out.jsonl'}; 1 failed: 1 not_an_image" in log


def test_a_log_of_json_lines(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "photo.png-12")
    file = tmp_path / "photo.png-12.jsonl"
    for _ in range(2):  # the second run appends
        assert run_of_two(tmp_path, "--log-file", str(file), "--log-format", "json") == 1
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    (failure, _) = [line for line in lines if line["level"] == "error"]
    assert failure["code"] == "not_an_image" and failure["path"].endswith("broken.png")
    assert failure["message"].endswith("broken.png: not an image but text")
    digest = hashlib.sha256(b"no image").hexdigest()
    assert failure["sha256"] == digest
    (summary, _) = [line for line in lines if "captions" in line]
    assert (summary["captions"], summary["failures"]) == (1, {"not_an_image": 1})
    assert all(line["time"].endswith("+00:00") and line["logger"] for line in lines)
    assert main(["--log-file", str(file), "--log-format", "json", "models", "show", "./none"]) == 1
    last = json.loads(file.read_text().splitlines()[-1])
    assert last["level"] == "error" and "./none" in last["message"]
    assert "photo.png-12" not in file.read_text()


def test_a_json_log_has_tracebacks_and_no_tokens():
    try:
        raise ValueError("Bearer abcdefgh12345678")
    except ValueError:
        record = logging.LogRecord(
            "x", logging.ERROR, "f", 1, "%s", ("hf_abcdefgh1",), sys.exc_info()
        )
    found = json.loads(JsonLines().format(record))
    assert found["message"] == "[token]" and "ValueError: Bearer [token]" in found["traceback"]


def test_an_unknown_format(capsys):
    assert main(["--log-format", "xml", "config", "path"]) == 2
    assert "text, json" in capsys.readouterr().err


def test_without_a_log_file_messages_come_once(tmp_path, capsys):
    assert run_of_two(tmp_path, "--log-level", "info") == 1
    assert capsys.readouterr().err.count("broken.png") == 1


def test_without_the_options_nothing_is_logged(tmp_path, capsys):
    draw_image(1, (64, 64)).save(tmp_path / "photo.png")
    assert main(["caption", str(tmp_path / "photo.png")]) == 0
    assert capsys.readouterr().err == ""


def test_stderr_is_the_default_place(tmp_path, capsys):
    draw_image(1, (64, 64)).save(tmp_path / "photo.png")
    assert main(["--log-level", "info", "caption", str(tmp_path / "photo.png")]) == 0
    assert "ONNX Runtime" in capsys.readouterr().err


def test_an_unknown_level_and_a_bad_place(tmp_path, capsys):
    assert main(["--log-level", "loud", "config", "path"]) == 2
    (tmp_path / "file").write_text("")
    assert main(["--log-file", str(tmp_path / "file" / "x.log"), "config", "path"]) == 1
    assert "Cannot write" in capsys.readouterr().err


@pytest.mark.parametrize("place", ["before", "behind", "joined"])
def test_the_options_stand_before_or_behind_the_command(tmp_path, capsys, place):
    file = tmp_path / "run.log"
    options = ["--log-level", "info", "--log-file", str(file)]
    if place == "joined":
        options = ["--log-level=info", f"--log-file={file}"]
    command = ["config", "path"]
    assert main([*options, *command] if place == "before" else [*command, *options]) == 0
    assert file.exists()


def test_an_option_without_its_value_and_names_that_look_like_options(tmp_path, capsys):
    assert main(["config", "path", "--log-level"]) == 2
    assert main(["config", "path", "--log-level", "loud"]) == 2
    assert "debug, info, warning, error" in capsys.readouterr().err
    assert main(["caption", "--", "--log-file", "x"]) == 1  # two images that are not there
    assert "--log-file: no such file" in capsys.readouterr().err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_log_that_cannot_be_written_costs_the_log_only(tmp_path, capsys):
    draw_image(1, (64, 64)).save(tmp_path / "photo.png")
    options = ["--log-level", "debug", "--log-file", "/dev/full"]
    assert main(["caption", str(tmp_path / "photo.png"), *options]) == 0
    captured = capsys.readouterr()
    assert captured.out.strip()
    assert captured.err.startswith("note: the log /dev/full can no longer be written")
    assert len(captured.err.splitlines()) == 1


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer abcdefgh12345678",
        "url?token=hf_abcdefgh12345678",
        "asking for https://me:abcdefgh12345678@mirror.org/a.zip from byte 0",
        "GET https://cdn.org/a?X-Amz-Signature=abcdefgh12345678&x=1",
        "the token is sesame-open-12",
    ],
)
def test_tokens_are_left_out(monkeypatch, text):
    monkeypatch.setenv("HF_TOKEN", "sesame-open-12")
    record = logging.LogRecord("x", logging.INFO, "f", 1, text, (), None)
    line = Redacting("%(message)s").format(record)
    assert "[token]" in line
    assert "12345678" not in line and "sesame" not in line
