"""The recorded session: a valid cast, a page made from it, and nothing private in either."""

from __future__ import annotations

import json
import re

from tests.bench.session import CAST, PAGE, TOKEN, kept
from tests.bench.session_page import page, read_cast, screen
from tests.bench.session_steps import STEPS

# A home, a temporary folder, an address beyond this machine, the stand-in's token, human captions.
PRIVATE = re.compile(
    r"/(?:tmp|root|home|work|var|mnt|opt|Users)/(?!you/)|https?://(?!127\.0\.0\.1|hockenmaier)"
    # … the names of Flickr8k's images, and how its captions are introduced.
    rf"|{TOKEN}|hf_[A-Za-z0-9]{{8}}|\d{{8,}}_[0-9a-f]{{10}}|reference:|\bhuman\b|again '"
)


def test_the_cast_is_an_asciicast_of_version_2():
    header, *events = map(json.loads, CAST.read_text(encoding="utf-8").splitlines())
    assert header["version"] == 2 and (header["width"], header["height"]) == (80, 24)
    moments = [moment for moment, _, _ in events]
    assert moments == sorted(moments) and moments[0] >= 0
    assert {kind for _, kind, _ in events} == {"o", "m"}
    assert all(isinstance(text, str) for _, _, text in events)


def test_the_page_is_made_from_the_cast():
    assert PAGE.read_text(encoding="utf-8") == page(CAST), "run: python -m tests.bench.session"


def test_the_commands_are_those_that_ran_and_ended_as_they_should():
    ran = [(run.line, run.code) for run in read_cast(CAST)]
    assert ran == [(command.line, command.code) for step in STEPS for command in step.commands]
    text = PAGE.read_text(encoding="utf-8")
    assert all(f"\n{line}\n" in text for line, _ in ran)


def test_nothing_private_is_in_them():
    for file in (CAST, PAGE):
        found = PRIVATE.search(file.read_text(encoding="utf-8"))
        assert found is None, f"{file.name}: {found}"


def test_no_line_is_wider_than_the_terminal():
    """What wraps is hard to read: of what capgen prints, only paths and hints may be longer."""
    lines = [line for run in read_cast(CAST) for line in run.lines]
    assert max(map(len, lines)) < 240


def test_the_screen_shows_what_a_terminal_shows():
    assert screen("one\r\ntwo\r\x1b[2Kthree\r\n") == ["one", "three", ""]
    assert screen("a bar\r\n\r\x1b[2K\x1b[1A\x1b[2Kdone\r\n") == ["done", ""]
    assert screen("\x1b[1;31merror: \x1b[0mno\x08\x08yes") == ["error: yes"]
    assert screen("\x1b]133;D;0\x07$ ls") == ["$ ls"]


def test_frames_that_were_never_seen_are_left_out():
    wipe = "\r\x1b[2K"
    assert kept(f"x{wipe}1{wipe}2{wipe}3") == f"x{wipe}3"
    assert kept("plain") == "plain"
    two_lines = f"a\nb\r\x1b[2K\x1b[1A\x1b[2Kc\nd{wipe}e"
    assert screen(kept(two_lines)) == screen(two_lines)
