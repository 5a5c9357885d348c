"""Options made from settings records."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import pytest
import typer
from typer.testing import CliRunner

from capgen.cli.options import After, given_of, only, with_options, without
from capgen.config import check_ranges, setting


@dataclass(frozen=True, kw_only=True)
class Size:
    PANEL: ClassVar[str] = "Size"

    width: int = setting(3, "How wide.", low=1, flags="-w")
    names: tuple[str, ...] = setting((), "What it is called.")
    round: bool = setting(True, "Round the corners.")
    place: Path | None = setting(None, "Where it is.", remembered=False)  # noqa: RUF009

    def __post_init__(self) -> None:
        check_ranges(self)


def called(body: Any, *arguments: str, **options: Any) -> list[Any]:
    """Return what a body gets when its command is called."""
    app = typer.Typer()
    app.command()(with_options(**options)(body))
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return got


got: list[Any] = []


def takes_all(*, size: Size, twice: Annotated[bool, typer.Option("--twice")] = False) -> None:
    """Take a record and an option."""
    got[:] = [size, twice]


def takes_some(*, size: Annotated[Size, only("width")]) -> None:
    got[:] = [size]


def takes_given(*, given: Annotated[dict[str, Any], given_of(Size)]) -> None:
    got[:] = [given]


def test_a_body_gets_its_record():
    assert called(takes_all) == [Size(), False]
    arguments = ["-w", "5", "--names", "a", "--names", "b", "--no-round", "--place", "x", "--twice"]
    expected = Size(width=5, names=("a", "b"), round=False, place=Path("x"))
    assert called(takes_all, *arguments) == [expected, True]


def test_of_some_records_only_what_was_given():
    assert called(takes_given) == [{}]
    assert called(takes_given, "--width", "3", "--no-round") == [{"width": 3, "round": False}]
    assert called(takes_given, "--names", "a") == [{"names": ["a"]}]


def test_what_a_command_does_not_offer():
    assert list(inspect.signature(with_options()(takes_some)).parameters) == ["width"]

    def takes_rest(*, size: Annotated[Size, without("width", "place")]) -> None:
        got[:] = [size]

    assert list(inspect.signature(with_options()(takes_rest)).parameters) == ["names", "round"]


def test_the_environment_sets_what_may_be_remembered(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CAPGEN_WIDTH", "7")
    monkeypatch.setenv("CAPGEN_PLACE", "there")
    assert called(takes_all) == [Size(width=7), False]
    monkeypatch.setenv("CAPGEN_TRAIN_WIDTH", "8")
    assert called(takes_all, section="train") == [Size(width=8), False]
    assert called(takes_all, "-w", "1", section="train") == [Size(width=1), False]
    assert called(takes_given, section="train") == [{}]  # training reads its variables itself


def test_options_come_panel_by_panel_and_after_the_one_they_go_with():
    def body(
        *,
        first: Annotated[bool, typer.Option("--first", rich_help_panel="Other")] = False,
        size: Size,
        plain: Annotated[bool, typer.Option("--plain")] = False,
        alike: Annotated[bool, typer.Option("--alike", rich_help_panel="Size"), After("width")],
    ) -> None:
        pass

    made = with_options(panels=("Size", "Other"))(body)
    assert list(inspect.signature(made).parameters) == [
        *("plain", "width", "alike", "names", "round", "place", "first")
    ]
    assert made.__doc__ == body.__doc__


def test_no_command_reads_its_own_locals():
    package = Path(inspect.getfile(with_options)).parent
    for file in package.rglob("*.py"):
        assert "locals()" not in file.read_text(encoding="utf-8"), file
