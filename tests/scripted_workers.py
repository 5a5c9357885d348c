"""Stand-ins for a schedule: workers on a clock that jumps from event to event."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from capgen.captioning.batch.pipeline import BatchFinished
from capgen.captioning.batch.sources import FileSource
from capgen.config import ImageLimits
from capgen.distributed.caption_share import PartReused
from capgen.distributed.plan import ImageUnit, Part, Plan, Unit
from capgen.distributed.share import Share
from capgen.distributed.tasks import (
    PartMade,
    PieceMade,
    Report,
    Task,
    TaskDone,
    TaskFailed,
    WorkerLost,
    WorkerReady,
)
from capgen.distributed.vouchers import PartDone
from capgen.records import CaptionFailure, Record


def picture_units(count: int) -> Iterator[Unit]:
    return (ImageUnit(FileSource(f"{number:08}.jpg")) for number in range(count))


def parts_of(count: int, size: int) -> Plan:
    return Plan(picture_units(count), Share(), size)


def part_done(records: int) -> PartDone:
    return PartDone(file="", digest="", sha256="", size=0, records=records)


def record_of(name: str, code: str = "scripted") -> Record:
    return CaptionFailure(path=name, code=code, message=name)


@dataclass(frozen=True)
class Outcome:
    """What becomes of a task.

    Attributes:
        seconds: After how long.
        lost: Why the worker is lost by then.
        crashed: Whether its process alone is.
        error: What it fails with.
        failures: What the part has.
    """

    seconds: float
    lost: str = ""
    crashed: bool = True
    error: Exception | None = None
    failures: tuple[CaptionFailure, ...] = ()
    stopped: bool = False


Script = Callable[[str, Task], Outcome]


@dataclass
class ScriptedPool:
    """Workers that do as a script says.

    Attributes:
        script: What becomes of a task on a worker.
        places: How many workers there is room for.
        loading: What becomes of a worker that starts; by default it is ready after 5 seconds.
        now: The time.
    """

    script: Script
    places: int = 2
    loading: Callable[[str], Outcome] = lambda worker: Outcome(5)
    work: Callable[[str], bytes] = lambda worker: b"work"
    now: float = 0.0
    workers: set[str] = field(default_factory=set)
    removed: list[str] = field(default_factory=list)
    started: list[tuple[str, Task]] = field(default_factory=list)
    keep_started: bool = True
    most_waited: int = 0
    busy_seconds: float = 0.0
    _coming: list[tuple[float, int, str, Report]] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def clock(self) -> float:
        return self.now

    def add(self) -> str:
        worker = f"worker {next(self._numbers)}"
        self.workers.add(worker)
        outcome = self.loading(worker)
        self._later(worker, outcome, WorkerReady(worker=worker, work=self.work(worker)))
        return worker

    def room(self) -> int:
        return max(0, self.places - len(self.workers))

    def start(self, worker: str, task: Task) -> None:
        assert worker in self.workers
        if self.keep_started:
            self.started.append((worker, task))
        outcome = self.script(worker, task)
        self.busy_seconds += outcome.seconds
        self._later(worker, outcome, TaskDone(worker=worker, made=_made(task, outcome)))
        self.most_waited = max(self.most_waited, len(self._coming))

    def remove(self, worker: str) -> None:
        self.workers.discard(worker)
        self.removed.append(worker)

    def lose(self, worker: str, reason: str, *, crashed: bool, at: float) -> None:
        """Have a worker lost at a time, whatever it does."""
        report = WorkerLost(worker=worker, reason=reason, crashed=crashed)
        heapq.heappush(self._coming, (at, next(self._numbers), worker, report))

    def wait(self, seconds: float | None) -> Sequence[Report]:
        until = None if seconds is None else self.now + seconds
        while self._coming:
            at, _, worker, report = self._coming[0]
            if until is not None and at > until:
                break
            heapq.heappop(self._coming)
            if worker not in self.workers:  # it is lost or ended, and says nothing more
                continue
            if isinstance(report, WorkerLost):
                self.workers.discard(worker)
            self.now = max(self.now, at)
            return [report]
        assert until is not None, "the schedule waits for ever"
        self.now = until
        return []

    def _later(self, worker: str, outcome: Outcome, otherwise: Report) -> None:
        report = otherwise
        if outcome.lost:
            report = WorkerLost(worker=worker, reason=outcome.lost, crashed=outcome.crashed)
        elif outcome.error is not None:
            report = TaskFailed(worker=worker, error=outcome.error)
        number = next(self._numbers)
        heapq.heappush(self._coming, (self.now + outcome.seconds, number, worker, report))


def _made(task: Task, outcome: Outcome) -> PartMade | PieceMade:
    if task.piece is None:
        count = len(task.part.units)
        failures = {"scripted": len(outcome.failures)} if outcome.failures else {}
        captions = count - len(outcome.failures)
        return PartMade(
            finished=BatchFinished(captions=captions, failures=failures, stopped=outcome.stopped),
            done=None if outcome.stopped else part_done(count),
            data=b"",
            failures=outcome.failures,
        )
    named = images_of(task)
    code = "crashed" if task.piece.given_up else "scripted"
    return PieceMade(
        finished=BatchFinished(captions=len(named), failures={code: len(named)}),
        records=tuple((position, record_of(name, code)) for position, name in named),
    )


def images_of(task: Task) -> list[tuple[int, str]]:
    """Return the positions of units and the names of the images that a piece has."""
    piece = task.piece
    assert piece is not None
    units = zip(task.part.units, task.part.positions, strict=True)
    if piece.given_up and piece.images is None:
        return [(position, unit.name) for unit, position in units]
    images = [
        (position, source.name)
        for unit, position in units
        for source in unit.sources(ImageLimits())
    ]
    stop = None if piece.images is None else piece.first + piece.images
    return images[piece.first : stop]


class ScriptedOutput:
    """Takes parts in memory."""

    def __init__(self, items: Iterable[Part | PartReused]) -> None:
        self._items = items
        self.pulled = 0
        self.committed: dict[int, Sequence[tuple[int, Record]]] = {}
        self.commits = 0

    def open(self, work: bytes) -> Iterator[Task | PartReused]:
        for item in self._items:
            self.pulled += 1
            yield Task(part=item) if isinstance(item, Part) else item

    def commit(self, part: Part, made: PartMade) -> PartDone:
        assert made.done is not None
        return self._commit(part, (), made.done.records)

    def commit_records(self, part: Part, records: Sequence[tuple[int, Record]]) -> PartDone:
        return self._commit(part, records, len(records))

    def _commit(self, part: Part, records: Sequence[tuple[int, Record]], count: int) -> PartDone:
        assert part.number not in self.committed, "a part is committed once"
        self.committed[part.number] = tuple(records)
        self.commits += 1
        return part_done(count)
