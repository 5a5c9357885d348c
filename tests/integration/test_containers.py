"""The Dockerfiles build from what their comments collect, and run what the command line has."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import typer.main

import capgen
from capgen.cli.app import build_app

FOLDER = Path(__file__).parent.parent.parent / "docs" / "containers"
FILES = sorted(FOLDER.glob("Dockerfile.*"))


def instructions(file: Path) -> list[tuple[str, str]]:
    """Return the instructions of a Dockerfile, with continued lines joined."""
    lines = [line for line in file.read_text().splitlines() if line and line[0] != "#"]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(verb, rest) for verb, _, rest in (line.partition(" ") for line in joined.split("\n"))]


def value(file: Path, wanted: str) -> str:
    (rest,) = [rest for verb, rest in instructions(file) if verb == wanted]
    return rest


def test_there_is_one_for_processors_and_one_for_gpus():
    assert [file.suffix for file in FILES] == [".cpu", ".cuda"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.suffix)
def test_the_build_takes_wheels_and_no_network(file):
    run = value(file, "RUN")
    assert "--no-index --find-links=/wheels" in run and "source=wheels,target=/wheels" in run
    assert "apt" not in run and "http" not in run
    assert f"capgen-{capgen.__version__}-py3-none-any.whl" in file.read_text()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.suffix)
def test_it_serves_as_a_user_of_its_own(file):
    assert value(file, "USER") == re.search(r"useradd --uid (\d+)", value(file, "RUN"))[1]
    entry, command = json.loads(value(file, "ENTRYPOINT")), json.loads(value(file, "CMD"))
    assert (entry, command[0]) == (["capgen"], "serve")
    serve = typer.main.get_command(build_app()).commands["serve"]
    known = {name for parameter in serve.params for name in parameter.opts}
    assert {item for item in command if item.startswith("--")} <= known
    compile(json.loads(value(file, "HEALTHCHECK").partition("CMD ")[2])[2], "health", "exec")
