"""What is written where, whatever the terminal or pipe at the other end can take."""

from __future__ import annotations

import errno
import io
import json
import os
import sys

import pytest
from rich.table import Table

from capgen.cli.console import Console, OutputClosedError
from capgen.cli.live_bar import progress
from capgen.cli.main import main
from capgen.errors import StorageError
from capgen.records import Caption


def ascii_only(monkeypatch: pytest.MonkeyPatch) -> io.BytesIO:
    """Let stdout be a pipe that takes ASCII only; return its bytes."""
    # Not a fixture: pytest sets stdout anew before the test itself.
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    return stream.buffer  # type: ignore[return-value]


def test_json_is_json_in_every_encoding(monkeypatch):
    out = ascii_only(monkeypatch)
    names = {"é": "\N{DOG FACE} \u4e2d", "no text": "\udcff"}
    Console().json(names)
    assert json.loads(out.getvalue()) == names


def test_records_are_json_in_every_encoding(monkeypatch):
    out = ascii_only(monkeypatch)
    record = Caption(text="a café \N{DOG FACE}", score=-1.0, log_probability=-1.0)
    Console().record(record)
    assert json.loads(out.getvalue())["caption"] == record.text


def test_tables_are_drawn_with_what_the_encoding_has(monkeypatch):
    out = ascii_only(monkeypatch)
    table = Table("caption")
    table.add_row("a dog")
    Console().show(table)
    assert "+--" in out.getvalue().decode("ascii")


def test_captions_that_the_encoding_lacks_are_escaped(monkeypatch):
    out = ascii_only(monkeypatch)
    Console().data("café")
    assert out.getvalue() == rb"caf\xe9" + b"\n"


class Broken(io.StringIO):
    """A stream that fails as `number` says."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def write(self, text: str) -> int:
        raise OSError(self.number, "broken")


@pytest.mark.parametrize(
    ("platform", "number", "expected"),
    [
        ("linux", errno.EPIPE, OutputClosedError),
        ("win32", errno.EINVAL, OutputClosedError),
        ("win32", errno.ENOSPC, StorageError),
        ("linux", errno.EINVAL, StorageError),
    ],
)
def test_who_reads_no_more_and_who_cannot_write(monkeypatch, platform, number, expected):
    monkeypatch.setattr(sys, "stdout", Broken(number))
    monkeypatch.setattr(sys, "platform", platform)
    with pytest.raises(expected):
        Console().data("a dog")


def test_without_stdout_and_stderr_nothing_is_written(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stderr", None)
    Console().error("none")
    with progress("pictures", 3) as advance:
        advance()
    assert capsys.readouterr().out == ""
    monkeypatch.setattr(sys, "stdout", None)
    Console().data("a dog")
    Console().show(Table("x"))
    Console().json({})


@pytest.mark.parametrize(
    "command",
    [
        ["--help"],
        ["caption", "--help"],
        ["config", "show", "--all"],
        ["models", "list"],
        ["data", "list"],
    ],
    ids=" ".join,
)
@pytest.mark.parametrize(
    "variables", [{"COLUMNS": "40"}, {"COLUMNS": "1", "TERM": "dumb"}], ids=str
)
def test_narrow_and_simple_terminals(monkeypatch, capsys, command, variables):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert main(command) == 0
    captured = capsys.readouterr()
    assert captured.out and "\x1b" not in captured.out + captured.err
    if variables["COLUMNS"] == "40":
        assert max(map(len, captured.out.splitlines())) <= 40


def test_the_home_of_arguments_that_no_shell_has_seen(monkeypatch, tmp_path):
    """On Windows; patterns stay as they are, for capgen itself to expand."""
    given: list[str] = []

    def app(*, args, **options):
        given.extend(args)

    monkeypatch.setattr("capgen.cli.main.build_app", lambda: app)
    monkeypatch.setattr(sys, "argv", ["capgen", "caption", "~/a.jpg", "*.jpg", "b[1].jpg", "~x"])
    assert main() == 0
    assert given == ["caption", "~/a.jpg", "*.jpg", "b[1].jpg", "~x"]
    given.clear()
    monkeypatch.setattr(sys, "platform", "win32")
    assert main() == 0
    assert given[1].endswith("/a.jpg") and given[1][0] != "~"
    assert given[2:] == ["*.jpg", "b[1].jpg", "~x"]


@pytest.mark.parametrize("command", [["data", "list"], ["data", "list", "--json"]])
def test_a_reader_that_has_had_enough(monkeypatch, capsys, command):
    monkeypatch.setattr(sys, "stdout", Broken(errno.EPIPE))
    assert main(command) == 0
    assert capsys.readouterr().err == ""


def test_help_that_nobody_reads(monkeypatch, capsys):
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        assert main(["--help"]) == 141
    assert capsys.readouterr().err == ""
