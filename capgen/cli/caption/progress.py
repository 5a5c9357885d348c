"""How captioning many images looks: progress, failures, and a summary, all on stderr."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Self

from capgen.captioning.batch.pipeline import BatchFinished, ImageDone
from capgen.cli.beside import already_there
from capgen.cli.console import Console
from capgen.cli.live_bar import LiveBar, duration
from capgen.records import CaptionFailure

_SECONDS_BETWEEN_LINES = 15.0
# A prompt that is filled in for each image may give each of them a note of its own.
_MOST_NOTES = 20


class BatchScreen:
    """Shows progress, and failures as they come.

    Args:
        console: Where.
        total: How many images there are, or None while it is not known.
        of_all: Notes that all images have, which are not counted.
    """

    def __init__(self, console: Console, total: int | None, of_all: Collection[str] = ()) -> None:
        self._console = console
        self._total = total
        self._done = self._failed = self._reused = 0
        self._noted = Counter[str]()
        self._of_all = of_all
        self._more_notes = False
        self._started = time.monotonic()
        bar = total != 1 and not console.quiet
        self._live = LiveBar(console.note, seconds=_SECONDS_BETWEEN_LINES, bar=bar)

    def __enter__(self) -> Self:
        self._live.__enter__()
        self._live.update("captioning", 0, self._total)
        return self

    def __exit__(self, *details: object) -> None:
        self._live.__exit__(*details)
        for note, images in self._noted.items():
            if images > 1 and note not in self._of_all:
                self._console.note(f"{images:,} images: {note}")

    def show(self, event: ImageDone) -> None:
        self._done += 1
        self._reused += event.reused
        record = event.record
        if isinstance(record, CaptionFailure):
            self._failed += 1
            self.failure(record)
        else:
            for note in record.notes:
                self._note(note)
        self._update()

    def failure(self, record: CaptionFailure) -> None:
        """Show a failure; `count` counts it."""
        fields = {"path": record.path, "code": record.code, "sha256": record.sha256}
        self.problem(record.message, record.hint, fields)

    def count(self, images: int, failed: int) -> None:
        """Count images that are done, and the failures among them."""
        self._done += images
        self._failed += failed
        self._update()

    def _update(self) -> None:
        rate = (self._done - self._reused) / max(1e-9, time.monotonic() - self._started)
        note = f"{rate:.1f} images/s" + (f", {self._failed} failed" if self._failed else "")
        self._live.update(
            "captioning",
            self._done,
            self._total,
            note,
            line=lambda left: self._line(note, left),
            skipped=self._reused,
        )

    def skip(self, images: int) -> None:
        """Count images that were done before, and are not looked at again."""
        self._done += images
        self._reused += images
        self._live.update("captioning", self._done, self._total, skipped=self._reused)

    def _note(self, note: str) -> None:
        """Show a note once and count it; of notes that differ between images, only the first."""
        if note in self._noted:
            self._noted[note] += 1
            return
        if self._more_notes:
            return
        self._more_notes = len(self._noted) == _MOST_NOTES
        if self._more_notes:
            self._console.note("further notes are in the records")
            return
        self._noted[note] = 1
        self._console.note(note)

    def problem(
        self, message: str, hint: str = "", fields: Mapping[str, object] | None = None
    ) -> None:
        if self._console.quiet:
            self._console.log_error(message, hint, fields)
        else:
            self._console.error(message, hint, fields=fields)

    def _line(self, note: str, left: float | None) -> str:
        if self._total is None:
            return f"{self._done} images, {note}"
        told = "" if left is None else f", {duration(left)} left"
        return f"{self._done}/{self._total} images, {note}{told}"


def summary(
    finished: BatchFinished,
    written: str = "",
    unwritten: Mapping[str, int] | None = None,
    kept: int = 0,
    already: int = 0,
) -> str:
    """Return the outcome of a run in one line.

    `written` is the output file, or "sidecars"; `unwritten` counts captions that could not be
    written, by kind of place; `kept` those for which a sidecar kept another text,
    and `already` those that sidecars had before.
    """
    unwritten = unwritten or {}
    failed = sum(finished.failures.values())
    count = finished.captions
    if written == "sidecars":
        count -= unwritten.get("sidecar", 0) + kept + already
    text = f"{count} caption{'' if count == 1 else 's'}"
    if written:
        text += f" written to {written}"
        if written == "sidecars":
            text += already_there(already)
    if finished.reused:
        whole = not failed and count == finished.captions
        reused = "{}, {} of them" if whole else "{}; {} records"
        text = reused.format(text, finished.reused) + " from an earlier run"
    if failed:
        kinds = ", ".join(f"{count} {code}" for code, count in finished.failures.items())
        text += f"; {failed} failed: {kinds}"
    if unwritten:
        text += "; not written: " + ", ".join(f"{n} {code}" for code, n in unwritten.items())
    if finished.stopped:
        text += "; stopped at the first failure"
    if finished.seconds > 1:
        rate = (finished.captions + failed - finished.reused) / finished.seconds
        text += f" ({duration(finished.seconds)}, {rate:.1f} images/s)"
    return text
