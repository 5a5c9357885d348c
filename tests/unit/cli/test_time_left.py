"""The time left of a task."""

from __future__ import annotations

import pytest

from capgen.cli.time_left import TimeLeft


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def left_after(clock: Clock, reports: list[tuple[float, int]], total: int) -> float | None:
    """Return the time left after reports of (moment, done)."""
    times = TimeLeft(clock)
    for clock.now, done in reports:
        times.report(done)
    return times.seconds(total - reports[-1][1])


@pytest.mark.parametrize(
    ("reports", "left"),
    [
        ([(5, 0)], None),
        ([(0, 0), (110, 10)], 990),  # steps that take longer than any window
        ([(0, 0), (110, 10), (220, 20)], 880),
        ([(0, 90), (10, 95)], 10),  # a resumed run: what was done before took no time
        ([(0, 0), (14, 0), (15, 10)], 9),  # a graph was exported first
        ([(0, 0), (100, 10), *((100 + n, 10 + n) for n in range(1, 71))], 20),  # faster by now
        ([(0, 0), (1, 100), (2, 0), (3, 50)], 1),  # another task of the same size
    ],
)
def test_the_time_left_is_that_of_the_speed_so_far(clock, reports, left) -> None:
    assert left_after(clock, reports, 100) == left


def test_what_took_no_work_does_not_count_for_the_speed(clock) -> None:
    times = TimeLeft(clock)
    times.report(0)
    for clock.now, done, skipped in ((0.1, 50, 50), (1.1, 51, 50), (2.1, 53, 51)):
        times.report(done, skipped)
    assert times.seconds(47) == pytest.approx(47)


def test_a_pause_does_not_count_for_the_speed(clock) -> None:
    times = TimeLeft(clock)
    for clock.now, done in ((0, 0), (10, 10)):
        times.report(done)
    clock.now = 1010
    times.pause(1000)
    clock.now = 1020
    times.report(20)
    assert times.seconds(80) == 80
