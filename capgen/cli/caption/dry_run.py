"""`capgen caption --endpoint … --dry-run`: what would be sent where. Sends nothing."""

from __future__ import annotations

from capgen.captioning.batch.journal import journal_path
from capgen.captioning.batch.pipeline import BatchFinished, BatchRun, ImageDone, caption_all
from capgen.captioning.captioner import Captioner
from capgen.captioning.endpoint.counting import CountingRuntime
from capgen.captioning.prompts import resolve_prompt
from capgen.cli.caption.many import BatchJob, open_journal, sources_of
from capgen.cli.caption.outputs import absorb_others
from capgen.cli.console import Console
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
    # A journal is only read: none is begun where there is nothing to go on with.
    copies = LocalCopies(job.targets, fetch=job.run.resume)
    earlier = any(
        target.path.exists() or journal_path(target.path).exists() for target in job.targets
    )
    main, journal = journaled(job.targets), None
    if main is not None and earlier and job.run.resume:
        journal = open_journal(captioner, job, main)
        absorb_others(journal, job.targets)
    run = BatchRun(
        decoding=job.decoding,
        options=job.run,
        limits=job.limits,
        journal=journal,
        originals=known_originals(job.results.undo_file),
    )
    beside = BesideWriters(None, None, job.sidecars)
    done = unreadable = 0
    try:
        for event in caption_all(captioner, sources_of(job, beside), run):
            failure = event.record if isinstance(event, ImageDone) else None
            unsent = isinstance(failure, CaptionFailure) and failure.code == runtime.code
            if isinstance(failure, CaptionFailure) and not (unsent or console.quiet):
                console.error(failure.message, failure.hint)
            if isinstance(event, BatchFinished):
                failed = sum(n for code, n in event.failures.items() if code != runtime.code)
                done, unreadable = event.reused, failed
    finally:
        if journal is not None:
            journal.close()
        copies.close()
    images, sent = runtime.total()
    counts = {
        "endpoint": served.revision,
        "address": runtime.where,
        "images": images,
        "bytes": sent,
        "done": done,
        "unreadable": unreadable,
    }
    if job.format in ("json", "jsonl") and not job.targets:
        console.json(counts)
        return int(unreadable > 0)
    number = "1 image" if images == 1 else f"{images:,} images"
    place = f"{printable(served.revision)} ({runtime.where})"
    console.data(f"{number} would be sent to {place}: {sent:,} bytes")
    if done:
        console.note(f"{done:,} are done already")
    if unreadable:
        console.note(f"{unreadable:,} cannot be read")
    return int(unreadable > 0)
