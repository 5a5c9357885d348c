"""One bar for a download, and nothing of it is left on the line that is printed next."""

from __future__ import annotations

import io

from capgen.models.hub_progress import download_bar


def test_the_bar_of_the_bytes_alone_is_shown_and_wiped(monkeypatch):
    monkeypatch.delenv("HF_HUB_DISABLE_PROGRESS_BARS", raising=False)
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
