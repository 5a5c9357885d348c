"""What a run has done so far, for its summary when it ends early."""

from __future__ import annotations

import time
from collections import Counter

from capgen.captioning.batch.pipeline import BatchFinished, ImageDone
from capgen.cli.caption.options import Results
from capgen.records import CaptionFailure


class Tally:
    """Counts what became of the images so far.

    Attributes:
        unwritten: Captions that could not be written, by kind of place.
    """

    def __init__(self) -> None:
        self.unwritten: Counter[str] = Counter()
        self._failures: Counter[str] = Counter()
        self._captions = self._reused = 0
        self._started = time.monotonic()

    def add(self, event: ImageDone) -> None:
        self._reused += event.reused
        if isinstance(event.record, CaptionFailure):
            self._failures[event.record.code] += 1
        else:
            self._captions += 1

    @property
    def done(self) -> int:
        """How many images have been dealt with."""
        return self._captions + sum(self._failures.values())

    def stopped(self) -> BatchFinished:
        """Return the end of a run that stopped because a caption could not be written."""
        return BatchFinished(
            captions=self._captions,
            failures=dict(self._failures.most_common()),
            reused=self._reused,
            seconds=time.monotonic() - self._started,
            stopped=True,
        )


def interrupted(tally: Tally, results: Results, total: int | None, *, resume: bool) -> str:
    """Return a line for a run that was interrupted: what was done, and how to go on."""
    if not tally.done:
        return "stopped before the first image was done"
    of = "" if total is None else f" of {total:,}"
    failures = sum(tally.stopped().failures.values())
    failed = f", {failures} failed" if failures else ""
    text = f"stopped after {tally.done:,}{of} images{failed}"
    if bool(results.outputs) and not resume:
        return f"{text}; without --no-resume the same command goes on from here"
    if results.dry_run:
        return text
    if results.outputs or results.changes_written_to is not None:
        return f"{text}; what is done is kept: run the same command again to go on"
    return text
