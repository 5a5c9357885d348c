"""Help reads well on a terminal of 80 columns: nothing swallowed, no types behind flags."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import typer.main

from capgen.cli.app import build_app
from capgen.cli.main import main


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, command
    for name, child in getattr(command, "commands", {}).items():
        yield from commands(child, (*path, name))


COMMANDS = dict(commands(typer.main.get_command(build_app())))


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_says_all_of_it(path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert main([*path, "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "<bool>" not in shown
    assert "…" not in shown, "a name is cut off"
    for item in COMMANDS[path].params:
        if item.param_type_name == "argument":
            usage = shown.partition("╭")[0]
            assert (item.metavar or item.name.upper()) in usage and "...}" not in usage
    for paragraph in COMMANDS[path].help.split("\n\n"):
        assert " ".join(paragraph.split()) in shown


def test_paragraphs_fill_the_width(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    main(["train", "--help"])
    lines = capsys.readouterr().out.split("╭")[0].splitlines()
    start = next(i for i, line in enumerate(lines) if "A setting comes from" in line)
    assert len(lines[start].rstrip()) > 70 and len(lines[start + 1].rstrip()) > 70


@pytest.mark.parametrize(
    ("command", "panel", "names"),
    [
        ("caption", "Output", ["--output", "--json", "--format", "--scores"]),
        ("apply", "Output", ["--output", "--json", "--format", "--sidecar"]),
        ("merge", "Output", ["--output", "--format"]),
        ("caption", "Decoding", ["--beams", "--num-captions"]),
        ("serve", "Decoding", ["--beams", "--num-captions"]),
        ("caption", "Words", ["--avoid-words"]),
        ("train", "Data and run", ["--dataset", "--data-dir"]),
        ("eval", "Scoring", ["--metrics"]),
    ],
)
def test_what_is_used_most_comes_first_in_its_panel(command, panel, names):
    shown = [
        item.opts[0]
        for item in COMMANDS[command,].params
        if getattr(item, "rich_help_panel", "") == panel
    ]
    assert shown[: len(names)] == names


LEAVES = [path for path, command in COMMANDS.items() if not getattr(command, "commands", None)]


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_every_command_shows_how_it_is_used(path):
    words = " ".join(("capgen", *path))
    assert words in (COMMANDS[path].epilog or "")


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["photo.jpg"], "capgen caption photo.jpg"),  # whether it is there or not
        (["here/", "--json"], "capgen caption here/ --json"),
        (["https://example.com/1"], "capgen caption https://example.com/1"),
        (["my photo.png", "b.jpg"], "capgen caption 'my photo.png' b.jpg"),
    ],
)
def test_images_without_a_command_get_a_hint(arguments, hint, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    assert main(arguments) == 2
    assert f"hint: To caption it: {hint}\n" in capsys.readouterr().err


def test_another_unknown_command_is_told_as_before(capsys):
    assert main(["captoin", "photo.jpg"]) == 2
    assert "To caption it" not in capsys.readouterr().err
