"""`capgen doctor` with a reachable Hub."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from capgen.cli.main import main
from tests.hub_stand_in import Hub
from tests.integration.hub.pushing import TOKEN


@pytest.fixture(autouse=True)
def _no_wandb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_API_KEY", "wandbSecret")


def test_who_is_logged_in_is_told_and_the_token_is_not(hub: Hub, capsys) -> None:
    main(["doctor", "--json"])
    out = capsys.readouterr().out
    checks = {check["name"]: check for check in json.loads(out)["checks"]}
    assert checks["Hub"]["ok"] and checks["Hub login"]["detail"] == "logged in as me"
    assert checks["W&B login"]["detail"] == "a key is set (WANDB_API_KEY); it was not tried"
    assert TOKEN not in out and "wandbSecret" not in out


def test_a_token_that_is_refused_is_a_fault(hub: Hub, monkeypatch, capsys) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_wrongSecret")
    assert main(["doctor"]) == 1
    said = "".join(capsys.readouterr())
    (line,) = [line for line in said.splitlines() if "FAULT  Hub login" in line]
    assert "does not accept the token" in line
    assert "capgen hub login" in said and "hf_wrongSecret" not in said


def test_a_broken_settings_file_is_a_fault_and_everything_else_is_still_looked_at(
    home: Path, capsys
) -> None:
    home.mkdir()
    (home / "config.toml").write_text("[caption]\nbeems = 3\n")
    assert main(["doctor", "--offline", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert not found["ok"]
    (fault,) = [check for check in found["checks"] if check["area"] == "settings"]
    assert "beems" in fault["detail"] and fault["cure"] == "Did you mean 'beams'?"
    assert found["checks"][-1]["area"] == "network"


def test_the_table_of_a_terminal(monkeypatch, capsys) -> None:
    from capgen.cli.console import Console
    from capgen.cli.doctor import _show_table
    from capgen.records import Check

    checks = [Check("a", True, "[red]fine"), Check("b", False, "broken", "mend it")]
    _show_table(Console(), {"area": checks, "other": [Check("c", None, "not there")]})
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        ["area", "ok", "a", "[red]fine"],
        ["FAULT", "b", "broken"],
        ["mend", "it"],
        ["other", "-", "c", "not", "there"],
    ]
