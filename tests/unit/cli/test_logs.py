"""`--log-level` and `--log-file`."""

from __future__ import annotations

import logging

import pytest

from capgen.cli.logs import Redacting
from capgen.cli.main import main
from tests.fakes import draw_photo

pytestmark = pytest.mark.usefixtures("handlers_put_back")


def test_the_file_tells_what_was_loaded_and_why_it_failed(tmp_path, capsys):
    draw_photo(1, (64, 64)).save(tmp_path / "photo.png")
    file = tmp_path / "logs" / "run.log"
    options = ["--log-level", "debug", "--log-file", str(file)]
    assert main([*options, "caption", str(tmp_path / "photo.png")]) == 0
    captured = capsys.readouterr()
    assert captured.err == "" and captured.out.strip()
    assert "ONNX Runtime" in file.read_text()
    assert main([*options, "caption", str(tmp_path / "photo.png"), "--model", "./none"]) == 1
    assert "ModelNotFoundError" in file.read_text()  # the traceback is here
    assert "Traceback" not in capsys.readouterr().err


def test_without_the_options_nothing_is_logged(tmp_path, capsys):
    draw_photo(1, (64, 64)).save(tmp_path / "photo.png")
    assert main(["caption", str(tmp_path / "photo.png")]) == 0
    assert capsys.readouterr().err == ""


def test_stderr_is_the_default_place(tmp_path, capsys):
    draw_photo(1, (64, 64)).save(tmp_path / "photo.png")
    assert main(["--log-level", "info", "caption", str(tmp_path / "photo.png")]) == 0
    assert "ONNX Runtime" in capsys.readouterr().err


def test_an_unknown_level_and_a_bad_place(tmp_path, capsys):
    assert main(["--log-level", "loud", "config", "path"]) == 2
    (tmp_path / "file").write_text("")
    assert main(["--log-file", str(tmp_path / "file" / "x.log"), "config", "path"]) == 1
    assert "Cannot write" in capsys.readouterr().err


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer abcdefgh12345678",
        "url?token=hf_abcdefgh12345678",
        "the token is sesame-open-12",
    ],
)
def test_tokens_are_left_out(monkeypatch, text):
    monkeypatch.setenv("HF_TOKEN", "sesame-open-12")
    record = logging.LogRecord("x", logging.INFO, "f", 1, text, (), None)
    line = Redacting("%(message)s").format(record)
    assert "[token]" in line
    assert "12345678" not in line and "sesame" not in line
