"""Which way images go through `capgen caption`."""

from __future__ import annotations

from pathlib import Path

import pytest

from capgen.cli.caption.one import Look, Way, choose_way
from capgen.errors import UsageError

NONE = Look(explain=None, debug=False, save_input=None)
EXPLAIN = Look(explain=Path("a.html"), debug=False, save_input=None)
DEBUG = Look(explain=None, debug=True, save_input=None)


@pytest.mark.parametrize(
    ("alone", "writes", "format", "expected"),
    [
        ("a.jpg", False, "text", Way("one", "a.jpg")),
        ("", False, "text", Way("one", "")),
        ("a.jpg", False, "json", Way("many")),
        ("a.jpg", False, "jsonl", Way("many")),
        ("a.jpg", True, "text", Way("many")),
        (None, False, "text", Way("many")),
    ],
)
def test_without_a_look(alone: str | None, writes: bool, format: str, expected: Way) -> None:
    assert choose_way(NONE, alone, writes=writes, format=format) == expected


@pytest.mark.parametrize("look", [EXPLAIN, DEBUG])
@pytest.mark.parametrize("format", ["text", "json"])
def test_a_look_at_one_image(look: Look, format: str) -> None:
    assert choose_way(look, "a.jpg", writes=False, format=format) == Way("look", "a.jpg")


@pytest.mark.parametrize(
    ("alone", "writes", "format"),
    [(None, False, "text"), ("a.jpg", True, "text"), ("a.jpg", False, "jsonl")],
)
def test_a_look_at_anything_else_is_refused(alone: str | None, writes: bool, format: str) -> None:
    with pytest.raises(UsageError, match="--explain takes one image"):
        choose_way(EXPLAIN, alone, writes=writes, format=format)
