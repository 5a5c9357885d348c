"""Limits per minute, and pauses."""

from __future__ import annotations

import threading
import time

import pytest

from capgen.captioning.endpoint.pace import Pace


class Clock(threading.Event):
    """A time that passes only while somebody waits."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.now += timeout
        return self.is_set()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", lambda: clock.now)
    return clock


def times(pace: Pace, clock: Clock, count: int, tokens: int = 0) -> list[float]:
    """Return when requests were let through, in seconds after the first."""
    found = []
    for _ in range(count):
        ticket = pace.wait(clock)
        assert ticket is not None
        if tokens:
            pace.answered(ticket, tokens)
        found.append(clock.now - 1000.0)
    return found


def test_without_limits_nothing_waits(clock: Clock) -> None:
    assert times(Pace(), clock, 1000) == [0.0] * 1000


def test_requests_per_minute(clock: Clock) -> None:
    assert times(Pace(requests=2), clock, 5) == [0, 0, 60, 60, 120]


def test_tokens_per_minute_are_counted_by_what_was_used(clock: Clock) -> None:
    # The first guess is 1000 tokens; 400 it is.
    assert times(Pace(tokens=1000), clock, 5, tokens=400) == [0, 0, 60, 60, 120]


def test_a_request_larger_than_the_limit_goes_alone(clock: Clock) -> None:
    assert times(Pace(tokens=10), clock, 3, tokens=400) == [0, 60, 120]


def test_a_pause_holds_back_everything(clock: Clock) -> None:
    pace = Pace()
    pace.pause(7)
    pace.pause(3)
    assert times(pace, clock, 2) == [7, 7]


def test_a_wait_ends_when_it_is_stopped() -> None:
    pace, stop = Pace(), threading.Event()
    pace.pause(3600)
    waited: list[object] = []
    thread = threading.Thread(target=lambda: waited.append(pace.wait(stop)))
    thread.start()
    stop.set()
    thread.join(10)
    assert waited == [None]
