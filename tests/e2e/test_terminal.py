"""`capgen` at a terminal (a pseudo-terminal here), alone and with a pipe beside it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands import environment

pty = pytest.importorskip("pty")
COLOUR = re.compile(r"\x1b\[[0-9;]*3[0-9]m")


def at_terminal(*arguments: str | Path, to_pipe: bool = False, **variables: str) -> tuple[str, str]:
    """Run capgen with stderr, and stdout if it is no pipe, at a terminal → pipe, terminal."""
    ours, theirs = pty.openpty()
    settings = {**environment(), "TERM": "xterm", **variables}
    if "NO_COLOR" not in variables:
        del settings["NO_COLOR"]
    with subprocess.Popen(
        [sys.executable, "-m", "capgen", *arguments],
        env=settings,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if to_pipe else theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                block = os.read(ours, 4096)
            except OSError:  # nobody has the terminal any more
                break
            if not block:
                break
            shown += block
        piped = process.stdout.read() if process.stdout is not None else b""
    os.close(ours)
    return piped.decode(), shown.decode()


def test_what_is_piped_does_not_land_on_the_terminal(images: list[Path]) -> None:
    piped, shown = at_terminal("caption", *images[:3], "gone.jpg", to_pipe=True)
    assert [line.split("\t")[0] for line in piped.splitlines()] == list(map(str, images[:3]))
    assert piped.splitlines()[0].split("\t")[1] not in shown
    assert "captioning" in shown and "0/4" in shown  # the bar, from the start on
    # The message stands on a line of its own, not behind the bar.
    assert re.search(r"\r\x1b\[2K(\x1b\[[0-9;]*m)?error: (\x1b\[[0-9;]*m)?gone.jpg", shown)


@pytest.mark.parametrize(
    ("variables", "colours", "codes"),
    [({}, True, True), ({"NO_COLOR": "1"}, False, True), ({"TERM": "dumb"}, False, False)],
    ids=["terminal", "no colour", "dumb"],
)
def test_colours(variables: dict[str, str], colours: bool, codes: bool) -> None:
    _, shown = at_terminal("caption", "gone.jpg", **variables)
    assert "error: " in re.sub(r"\x1b\[[0-9;]*m", "", shown)
    assert bool(COLOUR.search(shown)) == colours
    assert ("\x1b" in shown) == codes
