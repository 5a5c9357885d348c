"""`--log-level` and `--log-file`."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from capgen.cli.logs import Redacting
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
