"""Progress where there is no terminal, and times as text."""

from __future__ import annotations

import pytest

from capgen.cli.live_bar import LiveBar, duration


def test_progress_elsewhere_than_on_a_terminal_is_a_line_now_and_then():
    lines: list[str] = []
    for at_once, expected in ((False, []), (True, ["epoch 1/2: 3/9 loss 2.0"])):
        with LiveBar(lines.append, seconds=3600, at_once=at_once) as live:
            live.update("epoch 1/2", 3, 9, "loss 2.0")
            live.update("epoch 1/2", 4, 9, "loss 1.9")
        assert lines == expected
    with LiveBar(lines.append) as live:
        live.update("captioning", 5, None, "2.0 images/s", line=lambda left: f"5 images, {left}")
        live.update("captioning", 6, None)
    assert lines[1:] == ["5 images, None", "captioning: 6/?"]


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.4, "0:00"), (59.6, "1:00"), (754, "12:34"), (3661, "1:01:01")]
)
def test_durations(seconds, shown):
    assert duration(seconds) == shown
