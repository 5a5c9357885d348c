"""How captioning many images looks: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from capgen.captioning.batch.pipeline import BatchFinished, ImageDone
from capgen.cli.console import Console, bar_place
from capgen.records import CaptionFailure

_SECONDS_BETWEEN_LINES = 15.0


class BatchScreen:
    """Shows progress, failures as they come, and a summary, all on stderr.

    Args:
        console: Where to.
        total: Number of images, or None while it is not known.
    """

    def __init__(self, console: Console, total: int | None) -> None:
        self._console = console
        self._total = total
        self._done = 0
        self._failed = 0
        self._noted: set[str] = set()
        self._started = self._last_line = time.monotonic()
        self._bar: Any = None

    def __enter__(self) -> Self:
        many = self._total is None or self._total > 1
        if many and not self._console.quiet and sys.stderr is not None and sys.stderr.isatty():
            self._bar, self._task = _start_bar(self._total)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def show(self, event: ImageDone) -> None:
        """Show that one image is done."""
        self._done += 1
        record = event.record
        if isinstance(record, CaptionFailure):
            self._failed += 1
            if not self._console.quiet:
                self._console.error(record.message, record.hint)
        else:
            for note in record.notes:
                if note not in self._noted:
                    self._noted.add(note)
                    self._console.note(note)
        rate = self._done / max(1e-9, time.monotonic() - self._started)
        if self._bar is not None:
            self._bar.update(self._task, advance=1, rate=rate, failed=self._failed)
        elif time.monotonic() - self._last_line >= _SECONDS_BETWEEN_LINES:
            self._last_line = time.monotonic()
            self._console.note(self._line(rate))

    def problem(self, text: str) -> None:
        """Show that something could not be written for one image."""
        if not self._console.quiet:
            self._console.error(text)

    def _line(self, rate: float) -> str:
        of = "" if self._total is None else f"/{self._total}"
        failed = f", {self._failed} failed" if self._failed else ""
        left = ""
        if self._total is not None and rate > 0:
            left = f", {_duration((self._total - self._done) / rate)} left"
        return f"{self._done}{of} images, {rate:.1f} images/s{failed}{left}"


def summary(
    finished: BatchFinished, written: str = "", unwritten: Mapping[str, int] | None = None
) -> str:
    """Return what a run came to in one line.

    Args:
        finished: Captions, and failures by kind.
        written: Where the captions were written: a file, or "sidecars".
        unwritten: How many were not written, by kind of place.
    """
    unwritten = unwritten or {}
    failed = sum(finished.failures.values())
    count = finished.captions - (unwritten.get("sidecar", 0) if written == "sidecars" else 0)
    text = f"{count} caption{'' if count == 1 else 's'}"
    if written:
        text += f" written to {written}"
    if finished.reused:
        text += (
            f", {finished.reused} of them known before"
            if not failed
            else (f"; {finished.reused} records known before")
        )
    if failed:
        kinds = ", ".join(f"{count} {code}" for code, count in finished.failures.items())
        text += f"; {failed} failed: {kinds}"
    if unwritten:
        text += "; not written: " + ", ".join(f"{n} {code}" for code, n in unwritten.items())
    if finished.stopped:
        text += "; stopped at the first failure"
    done = finished.captions + failed
    if finished.seconds > 1:
        text += f" ({_duration(finished.seconds)}, {done / finished.seconds:.1f} images/s)"
    return text


def _start_bar(total: int | None) -> tuple[Any, Any]:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    bar = Progress(
        TextColumn("captioning"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]:.1f} images/s"),
        TextColumn("{task.fields[failed]} failed"),
        TimeRemainingColumn(),
        transient=True,
        **bar_place(),
    )
    bar.start()
    return bar, bar.add_task("captioning", total=total, rate=0.0, failed=0)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
