"""Captions a share of a list on workers, whatever engine runs them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path

from capgen.captioning.batch.pipeline import BatchFinished
from capgen.distributed.caption_parts import PartWriter
from capgen.distributed.caption_share import (
    PartReused,
    ShareFinished,
    ShareJob,
    finish_share,
    journal_path,
    open_parts,
)
from capgen.distributed.jobs import Policy
from capgen.distributed.parts_folder import PartsFolder
from capgen.distributed.plan import Part, Plan, Unit
from capgen.distributed.schedule import schedule
from capgen.distributed.schedule_events import ScheduleEvent
from capgen.distributed.tasks import PartMade, Pool, Task
from capgen.distributed.vouchers import PartDone
from capgen.errors import StorageError, UsageError
from capgen.locks import Lock
from capgen.records import CaptionFailure, Record

Check = Callable[[PartMade], None]


def caption_on_workers(
    units: Iterable[Unit], job: ShareJob, pool: Pool, policy: Policy | None = None
) -> Generator[ScheduleEvent | ShareFinished, None, None]:
    """Caption a share of a list; parts that are there are passed over.

    This process alone writes into the folder.

    Args:
        units: The whole list.
        job: What to do; the workers of the pool do the same.
        pool: The workers.
        policy: When to try again, and with how many workers.

    Yields:
        Events in the order in which things happen, and last a `ShareFinished`, unless the run was
        stopped by `fail_fast`.

    Raises:
        CapgenError: A worker met an error that others would meet too, or none can start.
        StorageError: The folder cannot be written, or another run on this machine writes it.
    """
    place = journal_path(job)
    lock = Lock(place)
    if not lock.take():
        raise StorageError(
            f"Another run is writing {job.place}", hint="Wait for it, or choose another output."
        )
    complete = False
    try:
        output = ShareOutput(units, job)
        reused, stopped = 0, False
        with closing(schedule(output, pool, policy)) as events:
            for event in events:
                reused += isinstance(event, PartReused)
                if isinstance(event, BatchFinished):
                    stopped = event.stopped
                yield event
        if not stopped:
            yield finish_share(output.folder, output.plan, reused=reused)
            complete = True
    finally:
        lock.release()
        with suppress(OSError):
            # One machine alone may have left records in it, which it can still use.
            if complete or not place.stat().st_size:
                place.unlink()
                place.parent.rmdir()


class ShareOutput:
    """The parts of a share that are to be made, and the folder for them.

    Args:
        units: The whole list.
        job: What to do.
    """

    folder: PartsFolder

    def __init__(self, units: Iterable[Unit], job: ShareJob) -> None:
        self._job = job
        self.plan = Plan(units, job.share, job.part_size)

    def open(self, work: bytes) -> Iterator[Task | PartReused]:
        """Open the folder, and yield what is to be done."""
        self.folder = open_parts(work, self._job)
        return self._tasks()

    def _tasks(self) -> Iterator[Task | PartReused]:
        retry_failed = self._job.run.batch.options.retry_failed
        for part in self.plan:
            if self.folder.is_done(part, retry_failed=retry_failed):
                yield PartReused(number=part.number, images=len(part.units))
            else:
                lines = self._job.format == "jsonl"
                yield Task(part=part, earlier=self.folder.earlier(part) if lines else None)

    def commit(self, part: Part, made: PartMade) -> PartDone:
        """Write a part's file, and its voucher."""
        assert made.done is not None
        _check_shared(made)
        with tempfile.TemporaryDirectory(prefix="capgen-part-") as place:
            file = Path(place, self.folder.file_of(part))
            file.write_bytes(made.data)
            return self.folder.commit(part, file, made.done)

    def commit_records(self, part: Part, records: Sequence[tuple[int, Record]]) -> PartDone:
        """Write a part of these records."""
        writer = PartWriter(part, self.folder, self._job.run)
        for position, record in records:
            writer.add(position, record)
        return writer.commit()


def _check_shared(made: PartMade) -> None:
    """Check that workers see the files that this machine sees.

    Raises:
        UsageError: An image that is missing there is here.
    """
    for failure in made.failures:
        if _is_missing(failure) and failure.path and Path(failure.path).exists():
            raise UsageError(
                f"{failure.path} is on this machine, but not where a worker runs",
                hint="Workers read images themselves: from a store, as in s3://, or from a disk "
                "that all machines have at the same place.",
            )


def _is_missing(failure: CaptionFailure) -> bool:
    return failure.code == "missing"
