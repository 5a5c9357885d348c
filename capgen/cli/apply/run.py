"""Writes the chosen captions, and says what was written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from capgen.applying.apply import Applied, Places, apply_records
from capgen.applying.choose import ACCEPTED, EDITED, FAILED, UNREVIEWED, Chosen, kind_of
from capgen.applying.locate import Locator
from capgen.cli.apply.options import IMAGE_FOLDER, ApplyPlaces
from capgen.cli.beside import summarise
from capgen.cli.console import Console
from capgen.config import ImageLimits
from capgen.output.base import FORMATS, writing_text
from capgen.output.beside import BesideWriters
from capgen.output.formats import open_format
from capgen.output.imagefolder import ImageFolder
from capgen.records import Caption, Record

# What is counted, in the order of the summary.
_KINDS = (ACCEPTED, EDITED, UNREVIEWED)


@dataclass(frozen=True, kw_only=True)
class ApplyJob:
    """What `capgen apply` was asked to do.

    Attributes:
        chosen: The records.
        locator: Finds their images.
        places: Where captions are written.
        beside: Writes into images and beside them, or None.
        output: The file of `-o`, or None.
        format: Its format.
        limits: The largest image to decode.
    """

    chosen: Chosen
    locator: Locator
    places: ApplyPlaces
    beside: BesideWriters | None
    output: Path | None
    format: str
    limits: ImageLimits


@dataclass
class _Tally:
    """What became of the records so far."""

    written: Counter[str] = field(default_factory=Counter)
    failed: int = 0
    repeated: int = 0
    kept: int = 0

    def add(self, done: Applied) -> None:
        self.failed += bool(done.problems)
        self.repeated += done.repeated
        self.kept += done.kept
        if not (done.problems or done.repeated or done.kept):
            self.written[kind_of(done.record)] += 1


def run_apply(console: Console, job: ApplyJob) -> int:
    """Write captions; return the exit code: 1 if any could not be written."""
    tally, records = _Tally(), list[Record]()
    total = len(job.chosen.records)
    try:
        with ExitStack() as stack:
            folder, write = _open_output(stack, job)
            places = Places(
                beside=job.beside,
                image_folder=folder,
                thumbnails=write is not None and FORMATS[job.format].thumbnails,
                limits=job.limits,
            )
            advance = stack.enter_context(console.progress("applying", total))
            for done in apply_records(job.chosen.records, job.locator, places):
                tally.add(done)
                advance()
                if not console.quiet:
                    for message, hint in done.problems:
                        console.error(message, hint)
                if write is not None:
                    write(done.record, done.thumbnail)
                if job.places.as_json:
                    records.append(done.record)
    except (KeyboardInterrupt, SystemExit):
        if job.beside is not None and not job.places.dry_run:
            console.note("what is done is kept: run the same command again to go on")
        raise
    if job.places.as_json:
        console.json([record.to_dict() for record in records])
    _summarise(console, job, tally)
    return int(tally.failed > 0)


def _open_output(
    stack: ExitStack, job: ApplyJob
) -> tuple[ImageFolder | None, Callable[[Record, bytes | None], None] | None]:
    """Return the image folder, or what writes records to the output file."""
    if job.output is None:
        return None, None
    if job.format == IMAGE_FOLDER:
        folder = job.output.parent
        stream = None
        if not job.places.dry_run:
            stream = stack.enter_context(writing_text(job.output))
        return ImageFolder(folder, stream), None
    if job.places.dry_run:
        return None, None
    reviewed = any(
        isinstance(record, Caption) and record.review is not None for record in job.chosen.records
    )
    opened = open_format(job.output, job.format, job.places, job.places, reviewed=reviewed)
    return None, stack.enter_context(opened)


def _summarise(console: Console, job: ApplyJob, tally: _Tally) -> None:
    count = sum(tally.written[kind] for kind in _KINDS)
    kinds = ", ".join(f"{tally.written[kind]:,} {kind}" for kind in _KINDS if tally.written[kind])
    text = f"{count:,} caption{'' if count == 1 else 's'}"
    text += f" ({kinds})" if kinds else ""
    verb = " would be written" if job.places.dry_run else " written"
    text += f"{verb} to {job.output}" if job.output is not None else verb
    left_out = [f"{number:,} {why}" for why, number in sorted(job.chosen.left_out.items())]
    if tally.written[FAILED] and job.output is None:
        left_out.append(f"{tally.written[FAILED]:,} {FAILED}")
    if tally.kept:
        left_out.append(f"{tally.kept:,} where another text stays")
    if left_out:
        text += f"; left out: {', '.join(left_out)}"
    if tally.repeated:
        text += f"; {tally.repeated:,} more of the same images"
    if tally.failed:
        text += f"; {tally.failed:,} failed"
    console.note(text)
    if job.beside is None:
        return
    summarise(console, job.beside)
    sidecars = job.beside.sidecars
    if sidecars is not None:
        number = f"{sidecars.changed:,} sidecar{'' if sidecars.changed == 1 else 's'}"
        console.note(f"{number}{verb}")
    changed = sum(each.changed for each in (sidecars, job.beside.metadata) if each is not None)
    if changed and not job.places.dry_run:
        console.note(f"capgen undo {job.places.undo_file} takes it back")
