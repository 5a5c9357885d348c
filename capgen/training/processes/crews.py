"""The processes that see one disk: they make its caches, or wait until the first has made them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

from capgen.cache_folders import FEATURES
from capgen.training.processes.base import Alone, Processes
from capgen.training.processes.folders import first_that_shares

T = TypeVar("T")


@dataclass(frozen=True)
class Crew:
    """The processes of a run that have one folder of caches.

    Every crew of a run makes the same caches in the same order, since the methods are called by
    all processes.

    Attributes:
        processes: All processes of the run.
        members: The ranks of those in this crew; the first leads it.
    """

    processes: Processes
    members: tuple[int, ...]

    @property
    def leads(self) -> bool:
        """Whether this process leads the crew: it looks for caches, and completes them."""
        return self.processes.rank == self.members[0]

    @property
    def whole(self) -> bool:
        """Whether all processes of the run are in this crew."""
        return len(self.members) == self.processes.count

    @property
    def place(self) -> int:
        """The number of this process in the crew, from 0."""
        return self.members.index(self.processes.rank)

    def told(self, value: T) -> T:
        """Return the leader's `value`."""
        if self.processes.count == 1:
            return value
        told: T = self.processes.gather(value if self.leads else None)[self.members[0]]
        return told

    @contextlib.contextmanager
    def leader_first(self) -> Iterator[None]:
        """Let the leader do the block before the others."""
        if not self.leads:
            self.processes.wait()
        yield
        if self.leads:
            self.processes.wait()


ALONE = Crew(Alone(), (0,))


def crew_of(processes: Processes) -> Crew:
    """Return the crew of this process: it and all others that see the same folder of caches."""
    leader = first_that_shares(processes, FEATURES.path)
    leaders = processes.gather(leader)
    return Crew(processes, tuple(rank for rank, led in enumerate(leaders) if led == leader))
