"""A download shows one bar, which is cleared before the next output."""

from __future__ import annotations

import io

import pytest
from huggingface_hub.utils import (
    are_progress_bars_disabled,
    disable_progress_bars,
    enable_progress_bars,
)

from capgen.hub_client.progress import download_bar


@pytest.fixture
def bars_enabled():
    """The command line turns bars off for the whole process if there is no terminal."""
    before = are_progress_bars_disabled()
    enable_progress_bars()
    yield
    if before:
        disable_progress_bars()


def test_the_bar_of_the_bytes_alone_is_shown_and_wiped(bars_enabled):
    screen = io.StringIO()
    with download_bar() as bar:
        received = bar(desc="Downloading bytes", total=10, file=screen, mininterval=0)
        others = bar(desc="Fetching 3 files", total=3, file=screen, mininterval=0)
        received.update(5)
        others.update(2)
        assert "Downloading bytes" in screen.getvalue()
    assert "Fetching" not in screen.getvalue()
    assert screen.getvalue().endswith("\r")
    assert not screen.getvalue().split("\r")[-2].strip()
