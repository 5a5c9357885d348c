"""`capgen caption --endpoint … --dry-run`: what would be sent where. Sends nothing."""

from __future__ import annotations

from capgen.captioning.batch.journal import Journal, journal_path
from capgen.captioning.batch.pipeline import BatchFinished, BatchRun, caption_all
from capgen.captioning.captioner import Captioner
from capgen.captioning.endpoint.counting import CountingRuntime
from capgen.captioning.prompts import resolve_prompt
from capgen.cli.caption.many import BatchJob, open_journal, sources_of
from capgen.cli.caption.outputs import absorb_others
from capgen.cli.console import Console, counted
from capgen.config import ModelOptions
from capgen.images.decoders import printable
from capgen.output.beside import BesideWriters
from capgen.output.files import journaled
from capgen.output.stored import LocalCopies
from capgen.records import CaptionFailure
from capgen.undo_file import known_originals


def count_images(console: Console, model: ModelOptions, job: BatchJob) -> int:
    """Say how many images and bytes would be sent where; return 1 if images cannot be read."""
    runtime, served = CountingRuntime.at(model)
    captioner = Captioner(served, runtime, prompt=resolve_prompt(model))
    copies = LocalCopies(job.targets, fetch=job.run.resume)
    journal = _open_earlier_journal(captioner, job)
    try:
        done, unreadable = _read_all(console, captioner, runtime, job, journal)
    finally:
        if journal is not None:
            journal.close()
        copies.close()
    images, sent = runtime.total()
    if job.format in ("json", "jsonl") and not job.targets:
        console.json(
            {
                "endpoint": served.revision,
                "address": runtime.where,
                "images": images,
                "bytes": sent,
                "done": done,
                "unreadable": unreadable,
            }
        )
        return int(unreadable > 0)
    number = counted(images, "image")
    place = f"{printable(served.revision)} ({runtime.where})"
    console.data(f"{number} would be sent to {place}: {sent:,} bytes")
    if done:
        console.note(f"{done:,} are done already")
    if unreadable:
        console.note(f"{unreadable:,} cannot be read")
    return int(unreadable > 0)


def _open_earlier_journal(captioner: Captioner, job: BatchJob) -> Journal | None:
    """Open the journal that a run would go on from; where there is none, none is begun."""
    earlier = any(
        target.path.exists() or journal_path(target.path).exists() for target in job.targets
    )
    main = journaled(job.targets)
    if main is None or not earlier or not job.run.resume:
        return None
    journal = open_journal(captioner, job, main)
    absorb_others(journal, job.targets)
    return journal


def _read_all(
    console: Console,
    captioner: Captioner,
    runtime: CountingRuntime,
    job: BatchJob,
    journal: Journal | None,
) -> tuple[int, int]:
    """Prepare all images for `runtime`, which counts them.

    Returns:
        How many are done already, and how many cannot be read.
    """
    run = BatchRun(
        decoding=job.decoding,
        options=job.run,
        limits=job.limits,
        journal=journal,
        originals=known_originals(job.results.undo_file),
    )
    sources = sources_of(job, BesideWriters(None, None, job.sidecars))
    done = unreadable = 0
    for event in caption_all(captioner, sources, run):
        if isinstance(event, BatchFinished):
            done = event.reused
            unreadable = sum(n for code, n in event.failures.items() if code != runtime.code)
            continue
        if console.quiet or not isinstance(event.record, CaptionFailure):
            continue
        if event.record.code != runtime.code:  # others are images that are only counted
            console.error(event.record.message, event.record.hint)
    return done, unreadable
