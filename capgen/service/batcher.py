"""Batches the images of the moment: a lane that is free takes what waits, and never waits for more.

```
requests ─► waiting images, oldest first ─► lanes, each with one batch at a time ─► records
```

A batch has images with the same settings and prompt. The oldest image decides whose turn it is, so
none waits for ever. A caption does not depend on the batch it was in.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field

from capgen.captioning.prepare import Prepared
from capgen.records import Record
from capgen.service.asked import Asked
from capgen.service.measures import Measures

logger = logging.getLogger(__name__)


@dataclass(eq=False)
class _Job:
    asked: Asked
    prepared: Prepared
    record: Future[Record] = field(default_factory=Future)
    since: float = field(default_factory=time.monotonic)


class Batcher:
    """Captions prepared images, several at once.

    Args:
        lanes: Batches at the same time.
        measures: Gets sizes and durations of batches.
    """

    def __init__(self, lanes: int, measures: Measures) -> None:
        self._measures = measures
        self._changed = threading.Condition()
        self._waiting: deque[_Job] = deque()
        self._closed = False
        # Daemons: a model that is in the middle of a batch must not keep the process from ending.
        self._lanes = [
            threading.Thread(target=self._work, name=f"capgen-lane-{number}", daemon=True)
            for number in range(lanes)
        ]
        for lane in self._lanes:
            lane.start()

    def add(self, asked: Asked, prepared: Prepared) -> Future[Record]:
        """Return the record of an image once it is made; if cancelled in time, it never is."""
        job = _Job(asked, prepared)
        with self._changed:
            if self._closed:
                job.record.cancel()
                return job.record
            self._waiting.append(job)
            self._changed.notify()
        return job.record

    def close(self) -> None:
        """End the lanes once they have done their batches; what waits is cancelled."""
        with self._changed:
            self._closed = True
            waiting = [*self._waiting]
            self._waiting.clear()
            self._changed.notify_all()
        for job in waiting:
            job.record.cancel()

    def _work(self) -> None:
        while batch := self._take():
            self._measures.begun(len(batch))
            try:
                self._caption(batch)
            finally:
                self._measures.ended(len(batch))
            del batch  # its pixels, while the lane waits

    def _take(self) -> list[_Job]:
        """Wait for images; return the oldest and others like it, or none once it is closed."""
        with self._changed:
            while not self._closed:
                batch = self._next()
                if batch:
                    return batch
                self._changed.wait()
        return []

    def _next(self) -> list[_Job]:
        batch: list[_Job] = []
        others: deque[_Job] = deque()
        while self._waiting:
            job = self._waiting.popleft()
            if batch and (
                job.asked is not batch[0].asked or len(batch) >= batch[0].asked.batch_size
            ):
                others.append(job)
            elif job.record.set_running_or_notify_cancel():  # else its client has gone
                batch.append(job)
        self._waiting = others
        if others:
            self._changed.notify()
        return batch

    def _caption(self, batch: list[_Job]) -> None:
        begun = time.monotonic()
        for job in batch:
            self._measures.seconds("wait", begun - job.since)
        try:
            records = batch[0].asked.caption([job.prepared for job in batch])
        except Exception as error:
            if len(batch) > 1:  # the others must not suffer from one of them
                logger.warning("a batch of %d failed: one by one", len(batch), exc_info=True)
                for job in batch:
                    self._caption([job])
                return
            batch[0].record.set_exception(error)
            return
        self._measures.seconds("model", time.monotonic() - begun)
        for job, record in zip(batch, records, strict=True):
            job.record.set_result(record)
