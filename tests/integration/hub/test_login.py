"""Login, and the name of the user."""

from __future__ import annotations

import io
import stat
import time
from pathlib import Path

import pytest
from huggingface_hub import constants

from capgen.cli.main import main
from tests.hub_stand_in import Fault, Hub
from tests.integration.hub.pushing import TOKEN


def test_a_login_is_saved_and_used(hub: Hub, monkeypatch: pytest.MonkeyPatch, capfd) -> None:
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr("sys.stdin", io.StringIO(TOKEN + "\n"))
    assert main(["hub", "login"]) == 0
    saved = Path(constants.HF_TOKEN_PATH)
    assert saved.read_text() == TOKEN
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600
    assert main(["hub", "whoami"]) == 0
    said = "".join(capfd.readouterr())
    assert "logged in as me" in said and said.rstrip().endswith("me")
    assert TOKEN not in said


@pytest.mark.parametrize("variable", ["HF_TOKEN", "HUGGINGFACE_TOKEN"])
def test_the_token_of_the_environment(variable: str, hub: Hub, monkeypatch, capsys) -> None:
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setenv(variable, TOKEN)
    assert main(["hub", "whoami"]) == 0
    assert capsys.readouterr().out == "me\n"


def test_the_flag_goes_first(hub: Hub, monkeypatch, capsys) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_other")
    assert main(["hub", "whoami", "--token", TOKEN]) == 0
    assert capsys.readouterr().out == "me\n"


def test_a_wrong_token_is_not_saved(hub: Hub, monkeypatch: pytest.MonkeyPatch, capfd) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("hf_wrongSecret\n"))
    assert main(["hub", "login"]) == 1
    assert "hf_wrongSecret" not in "".join(capfd.readouterr())
    assert not Path(constants.HF_TOKEN_PATH).exists()


def test_nothing_was_typed(hub: Hub, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("\n"))
    assert main(["hub", "login"]) == 2
    assert "No token" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("header", "short", "long"),
    [("Retry-After", "1", "900"), ("RateLimit", '"api";r=0;t=1', '"api";r=0;t=900')],
)
def test_whoami_waits_as_asked_and_not_for_ever(
    header: str, short: str, long: str, hub: Hub, capsys
) -> None:
    hub.faults = [Fault("GET", "whoami", 429, headers={header: short})]
    assert main(["hub", "whoami"]) == 0
    hub.faults = [Fault("GET", "whoami", 429, times=9, headers={header: long})]
    begin = time.monotonic()
    assert main(["hub", "whoami"]) == 1
    assert time.monotonic() - begin < 5
    assert "900 seconds" in capsys.readouterr().err
