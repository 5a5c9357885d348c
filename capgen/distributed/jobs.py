"""Parts on their way, and when one is tried again: its worker was lost, or it takes too long."""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from capgen.distributed.isolation import Isolation
from capgen.distributed.tasks import Task, WorkerLost


@dataclass(frozen=True, kw_only=True)
class Policy:
    """When to try again, and with how many workers.

    Attributes:
        least: Workers to begin with, and to keep.
        most: Most workers; None is as many as there is room for.
        crashes: Workers that a part may end before it is captioned piece by piece.
        losses: The same, of workers that were lost with their machine.
        failed_starts: Workers in a row that die before they are ready, which ends the run; ten
            times as many once there was one that did not.
        straggling: A part is captioned a second time on an idle worker when it takes so many times
            as long as the others did.
        idle_seconds: How long a worker waits for work at the end before it is let go.
        notice_seconds: How long no worker may be ready before it is said.
    """

    least: int = 1
    most: int | None = None
    crashes: int = 3
    losses: int = 9
    failed_starts: int = 3
    straggling: float = 1.5
    idle_seconds: float = 30.0
    notice_seconds: float = 20.0


@dataclass(eq=False)
class Job:
    """A part on its way."""

    task: Task
    crashes: int = 0
    losses: int = 0
    isolation: Isolation | None = None
    begun: dict[str, float] = field(default_factory=dict)  # worker → when
    done: bool = False

    @property
    def next_task(self) -> Task:
        if self.isolation is None:
            return self.task
        task = self.isolation.task
        assert task is not None
        return task

    def lose_worker(self, lost: WorkerLost, policy: Policy) -> str | None:
        """Count the loss of a worker.

        Returns:
            How the part is captioned next, `again` or `in pieces`, or None if as before, in pieces.
        """
        self.crashes += lost.crashed
        self.losses += not lost.crashed
        if self.isolation is not None:
            # Who is lost with its machine may have taken it down.
            if lost.crashed or self.losses % policy.losses == 0:
                self.isolation.crashed()
            return None
        if self.crashes < policy.crashes and self.losses < policy.losses:
            return "again"
        self.isolation = Isolation(replace(self.task, earlier=None))
        return "in pieces"


class Stragglers:
    """Finds parts that take much longer than the others did.

    Args:
        policy: How much longer.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._durations: deque[float] = deque(maxlen=1000)

    def add(self, seconds: float) -> None:
        """Take in how long a part took."""
        self._durations.append(seconds)

    def first(self, busy: Iterable[Job]) -> tuple[Job, float] | None:
        """Return the part of those at work that takes too long first, and when it does.

        Only parts count that are captioned once, and not in pieces.
        """
        if not self._durations:
            return None
        usual = statistics.median(self._durations)
        found = [
            (job, begun + self._policy.straggling * usual)
            for job in busy
            if not job.done and job.isolation is None and len(job.begun) == 1
            for begun in job.begun.values()
        ]
        return min(found, key=lambda pair: pair[1], default=None)
