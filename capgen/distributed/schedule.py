"""Gives parts to workers until all are done, whatever becomes of the workers.

Parts are taken from their stream only when a worker has nothing to do, so memory does not grow
with their number. What workers return is committed here and nowhere else: of a part that was
captioned twice, one file and its own voucher are kept.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Protocol

from capgen.captioning.batch.pipeline import BatchFinished
from capgen.distributed.caption_share import PartReused
from capgen.distributed.jobs import Job, Policy, Stragglers
from capgen.distributed.plan import Part
from capgen.distributed.schedule_events import (
    PartFailures,
    PartRetried,
    ScheduleEvent,
    Workers,
    WorkersAwaited,
)
from capgen.distributed.tasks import (
    PartMade,
    PieceMade,
    Pool,
    Report,
    Task,
    TaskDone,
    TaskFailed,
    WorkerLost,
    WorkerReady,
)
from capgen.distributed.vouchers import PartDone
from capgen.errors import CapgenError, ModelError
from capgen.records import Record


class Output(Protocol):
    """Where the work comes from, and results go."""

    def open(self, work: bytes) -> Iterator[Task | PartReused]:
        """Return what is to be done by workers of one model and settings; see `record_work`."""
        ...

    def commit(self, part: Part, made: PartMade) -> PartDone:
        """Put a part where it belongs."""
        ...

    def commit_records(self, part: Part, records: Sequence[tuple[int, Record]]) -> PartDone:
        """Put a part where it belongs, which was captioned in pieces."""
        ...


def schedule(
    output: Output,
    pool: Pool,
    policy: Policy | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Generator[ScheduleEvent, None, None]:
    """Have workers caption all parts.

    Yields:
        Events in the order in which things happen; last a `BatchFinished`.

    Raises:
        CapgenError: A worker met an error that others would meet too, or none can start.
        StorageError: A part cannot be written.
    """
    yield from _Schedule(output, pool, policy or Policy(), clock).run()


class _Schedule:
    def __init__(
        self, output: Output, pool: Pool, policy: Policy, clock: Callable[[], float]
    ) -> None:
        self._output, self._pool, self._policy, self._clock = output, pool, policy, clock
        self._work: bytes | None = None
        self._tasks: Iterator[Task | PartReused] | None = None
        self._ended = False
        self._waiting: deque[Job] = deque()
        self._starting: set[str] = set()
        self._idle: dict[str, float] = {}  # worker → since when
        self._busy: dict[str, Job] = {}
        self._unfinished = 0
        self._failed_starts = 0
        self._stragglers = Stragglers(policy)
        self._captions = self._reused = 0
        self._failures = Counter[str]()
        self._stopped = False

    def run(self) -> Generator[ScheduleEvent, None, None]:
        begun = self._clock()
        waited_since: float | None = begun
        while not self._stopped:
            yield from self._assign()
            if self._ended and not self._unfinished:
                break
            self._grow()
            self._shrink()
            for report in self._pool.wait(self._patience(waited_since)):
                yield from self._take(report)
                if self._stopped:
                    break
            if self._idle or self._busy:
                waited_since = None
            elif waited_since is None:
                waited_since = self._clock()
            elif self._clock() - waited_since >= self._policy.notice_seconds:
                seconds = self._clock() - begun
                yield WorkersAwaited(seconds=seconds, starting=len(self._starting))
                waited_since = self._clock()
        yield BatchFinished(
            captions=self._captions,
            failures=dict(self._failures.most_common()),
            reused=self._reused,
            seconds=self._clock() - begun,
            stopped=self._stopped,
        )

    # Giving out work

    def _assign(self) -> Generator[ScheduleEvent, None, None]:
        """Give every idle worker something to do, if there is."""
        while self._idle:
            job = yield from self._next_job()
            if job is None:
                job = self._straggler()
                if job is None:
                    return
                yield PartRetried(number=job.task.part.number, reason="it takes long", how="copy")
            worker = next(iter(self._idle))
            del self._idle[worker]
            self._busy[worker] = job
            job.begun[worker] = self._clock()
            self._pool.start(worker, job.next_task)

    def _next_job(self) -> Generator[ScheduleEvent, None, Job | None]:
        if self._waiting:
            return self._waiting.popleft()
        while not self._ended:
            assert self._tasks is not None, "a worker is ready"
            item = next(self._tasks, None)
            if isinstance(item, Task):
                self._unfinished += 1
                return Job(item)
            if item is None:
                self._ended = True
            else:
                yield item
        return None

    def _straggler(self) -> Job | None:
        """Return the part that takes longest, if it takes too long and is captioned once only."""
        found = self._stragglers.first(self._busy.values())
        return found[0] if found is not None and self._clock() >= found[1] else None

    def _patience(self, waited_since: float | None) -> float | None:
        """Return how long to wait for reports: until something else is to be done."""
        times = []
        if waited_since is not None:
            times.append(waited_since + self._policy.notice_seconds)
        if self._ended and self._idle:
            found = self._stragglers.first(self._busy.values())
            times += [] if found is None else [found[1]]
            if self._ready_workers > self._policy.least:
                times.append(min(self._idle.values()) + self._policy.idle_seconds)
        elif not self._ended:
            times.append(self._clock() + self._policy.notice_seconds)  # room for more by then?
        return max(0.0, min(times) - self._clock()) if times else None

    # Workers

    @property
    def _ready_workers(self) -> int:
        return len(self._idle) + len(self._busy)

    def _grow(self) -> None:
        """Start workers while parts wait: as there is room, or else a few, so that room is made."""
        policy, ready, starting = self._policy, self._ready_workers, len(self._starting)
        count = ready + starting
        if self._ended:  # what waits was lost with its worker
            wanted = ready + max(starting, len(self._waiting))
        else:
            asked = policy.least if policy.most is None else 2 * ready
            wanted = max(policy.least, count + self._pool.room(), asked)
        if policy.most is not None:
            wanted = min(wanted, policy.most)
        for _ in range(wanted - count):
            self._starting.add(self._pool.add())

    def _shrink(self) -> None:
        """Let workers go for which there is nothing to do any more."""
        if not self._ended:
            return
        now = self._clock()
        for worker, since in list(self._idle.items()):
            waits = now - since >= self._policy.idle_seconds
            if waits and self._ready_workers > self._policy.least:
                del self._idle[worker]
                self._pool.remove(worker)

    # What workers report

    def _take(self, report: Report) -> Generator[ScheduleEvent, None, None]:
        if isinstance(report, WorkerReady):
            yield from self._ready(report)
        elif isinstance(report, TaskDone):
            yield from self._made(report)
        elif isinstance(report, TaskFailed):
            raise report.error
        else:
            yield from self._lost(report)

    def _ready(self, report: WorkerReady) -> Generator[ScheduleEvent, None, None]:
        self._starting.discard(report.worker)
        self._failed_starts = 0
        notes: tuple[str, ...] = ()
        if self._work is None:
            self._work, notes = report.work, report.notes
            self._tasks = self._output.open(report.work)
        elif report.work != self._work:
            raise ModelError(
                "Workers have different models, or settings that are not the same there",
                hint="All machines need the same files of the model, and the same hardware for it.",
            )
        self._idle[report.worker] = self._clock()
        yield self._workers(notes=notes)

    def _workers(self, lost: str = "", notes: tuple[str, ...] = ()) -> Workers:
        return Workers(
            ready=self._ready_workers, starting=len(self._starting), lost=lost, notes=notes
        )

    def _made(self, report: TaskDone) -> Generator[ScheduleEvent, None, None]:
        job = self._busy.pop(report.worker)
        now = self._clock()
        self._idle[report.worker] = now
        begun = job.begun.pop(report.worker)
        if job.done:  # a copy was faster
            return
        made = report.made
        self._count_in(made.finished)
        if made.failures:
            number, failed = job.task.part.number, sum(made.finished.failures.values())
            more = failed - len(made.failures)
            yield PartFailures(number=number, failures=made.failures, more=more)
        if made.finished.stopped:
            self._stopped = True
        elif isinstance(made, PartMade):
            self._stragglers.add(now - begun)
            yield self._finish(job, self._output.commit(job.task.part, made))
        else:
            yield from self._take_piece(job, made)

    def _take_piece(self, job: Job, made: PieceMade) -> Generator[ScheduleEvent, None, None]:
        assert job.isolation is not None
        job.isolation.passed(made)
        if job.isolation.task is not None:
            self._waiting.appendleft(job)
            return
        yield self._finish(job, self._output.commit_records(job.task.part, job.isolation.records))

    def _finish(self, job: Job, done: PartDone) -> PartDone:
        job.done = True
        self._unfinished -= 1
        return done

    def _count_in(self, finished: BatchFinished) -> None:
        self._captions += finished.captions
        self._reused += finished.reused
        self._failures.update(finished.failures)

    def _lost(self, report: WorkerLost) -> Generator[ScheduleEvent, None, None]:
        worker = report.worker
        self._idle.pop(worker, None)
        if worker in self._starting:
            self._starting.discard(worker)
            self._failed_starts += 1
            most = self._policy.failed_starts * (1 if self._work is None else 10)
            if self._failed_starts >= most:
                raise CapgenError(
                    f"{self._failed_starts} workers in a row died before they could begin: "
                    f"{report.reason}",
                    hint="Loading the model may need more memory than there is.",
                )
        yield self._workers(lost=report.reason)
        job = self._busy.pop(worker, None)
        if job is None:
            return
        del job.begun[worker]
        if job.done or job.begun:  # a copy is done, or at work
            return
        self._waiting.append(job)
        how = job.lose_worker(report, self._policy)
        if how is not None:
            yield PartRetried(number=job.task.part.number, reason=report.reason, how=how)
