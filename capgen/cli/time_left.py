"""How long a task still takes, from its speed so far."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

# The speed is that of the last minute, or of the last reports where those come more rarely.
_SECONDS = 60.0
_REPORTS = 4


class TimeLeft:
    """Estimates the time left of a task, from the second report on.

    Args:
        clock: Seconds, from any start.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._reports: deque[tuple[float, int]] = deque()

    def report(self, done: int, skipped: int = 0) -> None:
        """Note how much is done.

        Args:
            done: Items that are done. The first report is where the work begins.
            skipped: Those among them that took no work, such as results of an earlier run.
        """
        worked, reports = done - skipped, self._reports
        if reports and worked < reports[-1][1]:  # a new task
            reports.clear()
        if reports and worked == reports[-1][1] == reports[0][1]:  # the work begins only now
            reports.clear()
        reports.append((self._clock(), worked))
        while len(reports) > _REPORTS and reports[1][0] < reports[-1][0] - _SECONDS:
            reports.popleft()

    def pause(self, seconds: float) -> None:
        """Leave time for other work out of the speed."""
        self._reports = deque((moment + seconds, worked) for moment, worked in self._reports)

    def seconds(self, remaining: int) -> float | None:
        """Return how long the remaining items take; None while that is not known."""
        if len(self._reports) < 2:
            return None
        (started, before), (now, worked) = self._reports[0], self._reports[-1]
        if worked == before:
            return None
        return max(0.0, now - started) / (worked - before) * remaining
