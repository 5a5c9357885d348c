"""Writes the chosen captions, and says what was written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial

from capgen.applying.apply import Applied, Places, apply_records
from capgen.applying.choose import ACCEPTED, EDITED, FAILED, REJECTED, UNREVIEWED, Chosen, kind_of
from capgen.applying.locate import Locator
from capgen.applying.outputs import AppliedOutputs
from capgen.cli.apply.options import ApplyPlaces
from capgen.cli.beside import already_there, summarise
from capgen.cli.console import Console, counted, listed
from capgen.cli.live_bar import progress
from capgen.config import ImageLimits
from capgen.errors import StorageError
from capgen.images.decoders import printable
from capgen.output.beside import BesideWriters
from capgen.output.files import Target
from capgen.records import Caption, Record

# What is counted, in the order of the summary.
_KINDS = (ACCEPTED, EDITED, UNREVIEWED, REJECTED)


@dataclass(frozen=True, kw_only=True)
class ApplyJob:
    """What `capgen apply` was asked to do.

    Attributes:
        chosen: The records.
        locator: Finds their images.
        places: Where captions are written.
        beside: Writes into images and beside them, or None.
        targets: The files of `-o`.
        limits: The largest image to decode.
    """

    chosen: Chosen
    locator: Locator
    places: ApplyPlaces
    beside: BesideWriters | None
    targets: tuple[Target, ...]
    limits: ImageLimits


@dataclass
class _Tally:
    """What became of the records so far.

    `files` tells whether captions are written to files of records, too.
    """

    files: bool
    written: Counter[str] = field(default_factory=Counter)
    failed: int = 0
    repeated: int = 0
    kept: int = 0
    already: int = 0

    def add(self, done: Applied) -> bool:
        """Count what became of a record; return whether its caption is, or would be, written."""
        self.failed += bool(done.problems)
        self.repeated += done.repeated
        self.kept += done.kept
        already = done.already and not done.problems and not self.files
        self.already += already
        written = not (done.problems or done.repeated or done.kept or already)
        if written:
            self.written[kind_of(done.record)] += 1
        return written


def run_apply(console: Console, job: ApplyJob) -> int:
    """Write captions; return the exit code: 1 if any could not be written."""
    tally, records = _Tally(files=bool(job.targets)), list[Record]()
    places = Places(
        beside=job.beside,
        images=any(target.is_image_folder for target in job.targets),
        thumbnails=any(target.kind.thumbnails for target in job.targets) and not job.places.dry_run,
        limits=job.limits,
    )
    outputs = AppliedOutputs(
        *(job.targets, job.places, job.places),
        reviewed=_reviewed(job),
        dry_run=job.places.dry_run,
    )
    try:
        with ExitStack() as stack:
            files = stack.enter_context(outputs.open(partial(_say_failed, console)))
            advance = stack.enter_context(progress("applying", len(job.chosen.records)))
            for done in apply_records(job.chosen.records, job.locator, places):
                files.write(done)
                done = outputs.with_problems(done)
                if tally.add(done) and job.places.dry_run and not job.places.as_json:
                    _show(console, done)
                advance()
                if not console.quiet:
                    for message, hint in done.problems:
                        console.error(message, hint)
                if job.places.as_json:
                    records.append(done.record)
    except (KeyboardInterrupt, SystemExit):
        if job.beside is not None and not job.places.dry_run:
            console.note("what is done is kept: run the same command again to go on")
        raise
    if job.places.as_json:
        console.json([record.to_dict() for record in records])
    _summarise(console, job, tally, [each for each in job.targets if each not in files.failed])
    return int(tally.failed > 0 or bool(files.failed))


def _show(console: Console, done: Applied) -> None:
    """Print what would be written about an image."""
    if done.image is not None and isinstance(done.record, Caption):
        console.data(f"{printable(done.image)}: {printable(done.record.text)}")


def _reviewed(job: ApplyJob) -> bool:
    return any(
        isinstance(record, Caption) and record.review is not None for record in job.chosen.records
    )


def _say_failed(console: Console, target: Target, error: StorageError) -> None:
    console.error(error.message, error.hint or "The other outputs are written.")


def _summarise(console: Console, job: ApplyJob, tally: _Tally, written: Sequence[Target]) -> None:
    count = sum(tally.written[kind] for kind in _KINDS)
    kinds = ", ".join(f"{tally.written[kind]:,} {kind}" for kind in _KINDS if tally.written[kind])
    text = f"{count:,} caption{'' if count == 1 else 's'}"
    text += f" ({kinds})" if kinds else ""
    verb = " would be written" if job.places.dry_run else " written"
    names = [target.name for target in written]
    text += f"{verb} to {listed(names)}" if names else verb
    if tally.already:
        text += f"; {tally.already:,} already there"
    left_out = [f"{number:,} {why}" for why, number in sorted(job.chosen.left_out.items())]
    if tally.written[FAILED] and not job.targets:
        left_out.append(f"{tally.written[FAILED]:,} {FAILED}")
    if tally.kept:
        left_out.append(f"{tally.kept:,} where another text stays")
    if left_out:
        text += f"; left out: {', '.join(left_out)}"
    if tally.repeated:
        text += f"; {tally.repeated:,} more of the same images"
    if tally.failed:
        text += f"; {tally.failed:,} failed"
    failures = tally.written[FAILED]
    if failures and job.targets:
        text += f"; {failures:,} record{'' if failures == 1 else 's'} {FAILED}"
    console.note(text)
    if job.beside is None:
        return
    summarise(console, job.beside)
    sidecars = job.beside.sidecars
    if sidecars is not None:
        number = f"{sidecars.changed:,} sidecar{'' if sidecars.changed == 1 else 's'}"
        console.note(f"{number}{verb}{already_there(sidecars.already)}")
    changed = sum(each.changed for each in (sidecars, job.beside.metadata) if each is not None)
    undo = f"capgen undo {job.places.undo_file}"
    if changed and not job.places.dry_run:
        console.note(f"{undo} takes it back")
    there = _rejected_there(job, job.beside)
    if there:
        console.note(
            f"still there from an earlier run: {counted(there, 'rejected caption')}; {undo} and "
            "the same command again leave out what was rejected"
        )


def _rejected_there(job: ApplyJob, beside: BesideWriters) -> int:
    """Count the rejected captions that an earlier run wrote, and nothing has replaced."""
    found = ((job.locator.file(record), record.text) for record in job.chosen.rejected)
    return sum(file is not None and beside.holds(file, text) for file, text in found)
