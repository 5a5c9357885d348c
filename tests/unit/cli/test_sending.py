"""Who is asked before images leave the network, and who is not."""

from __future__ import annotations

import pytest
import typer

from capgen.captioning.endpoint.address import Address
from capgen.cli import sending
from capgen.cli.sending import confirm_sending
from capgen.config import ModelOptions
from capgen.errors import UsageError

PUBLIC = "https://api.example/v1"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was asked; hosts called `.example` are public, and the answer is yes."""
    questions: list[str] = []

    def confirm(text: str, *, abort: bool, err: bool) -> None:
        assert abort
        assert err
        questions.append(text)

    monkeypatch.setattr(
        Address, "public", lambda self: "8.8.8.8" if self.host.endswith(".example") else ""
    )
    monkeypatch.setattr(typer, "confirm", confirm)
    monkeypatch.setattr(sending, "is_terminal", lambda stream: True)
    return questions


def test_a_public_address_is_asked_about_once(asked: list[str]) -> None:
    secret = PUBLIC.replace("//", "//me:secret@")
    confirm_sending(ModelOptions(endpoint=secret), [f"{PUBLIC}#a", "mini", None])
    assert len(asked) == 1
    assert PUBLIC in asked[0]
    assert "8.8.8.8" in asked[0]
    assert "secret" not in asked[0]


@pytest.mark.parametrize(
    "options",
    [
        ModelOptions(),
        ModelOptions(model="mini"),
        ModelOptions(endpoint="http://127.0.0.1:1/v1"),
        ModelOptions(endpoint="http://192.168.1.2/v1"),
        ModelOptions(endpoint=PUBLIC, yes=True),
    ],
)
def test_nothing_is_asked_where_nothing_leaves(asked: list[str], options: ModelOptions) -> None:
    confirm_sending(options)
    assert not asked


@pytest.mark.parametrize("options", [ModelOptions(endpoint=PUBLIC), ModelOptions(model=PUBLIC)])
def test_without_a_terminal_it_is_refused(
    asked: list[str], monkeypatch: pytest.MonkeyPatch, options: ModelOptions
) -> None:
    monkeypatch.setattr(sending, "is_terminal", lambda stream: False)
    with pytest.raises(UsageError, match="outside your network") as caught:
        confirm_sending(options)
    assert "--yes" in caught.value.hint
    assert not asked


def test_a_no_ends_the_command(asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise typer.Abort

    monkeypatch.setattr(typer, "confirm", refuse)
    with pytest.raises(typer.Abort):
        confirm_sending(ModelOptions(endpoint=PUBLIC))
