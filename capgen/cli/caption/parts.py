"""`capgen caption` into a folder of parts, such as one of many machines does."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from capgen.addresses import without_credentials
from capgen.captioning.batch.pipeline import BatchFinished, BatchRun, ImageDone
from capgen.captioning.captioner import Captioner
from capgen.captioning.runtimes.select import may_use_gpus
from capgen.cli.caption.loading import load_captioner
from capgen.cli.caption.many import exit_code
from capgen.cli.caption.on_workers import show_workers
from capgen.cli.caption.options import PARTS_FORMATS, Look, Named, Results, Run
from capgen.cli.caption.progress import BatchScreen, summary
from capgen.cli.console import Console, counted
from capgen.config import (
    BatchOptions,
    DecodeOptions,
    ImageLimits,
    InputOptions,
    ModelOptions,
    TagOptions,
)
from capgen.distributed.caption_parts import PartsRun
from capgen.distributed.caption_share import (
    PartReused,
    ShareEvent,
    ShareFinished,
    ShareJob,
    caption_share,
)
from capgen.distributed.plan import DEFAULT_PART_SIZE, Unit
from capgen.distributed.schedule_events import ScheduleEvent
from capgen.distributed.share import Share
from capgen.distributed.units import list_units
from capgen.distributed.vouchers import PartDone
from capgen.errors import UsageError
from capgen.known_fields import from_known_fields
from capgen.output.base import suffix_format
from capgen.storage.drivers import check_driver


@dataclass(frozen=True, kw_only=True)
class PartsJob:
    """What `capgen caption` was asked to do with many machines' images.

    Attributes:
        decoding: What to ask of decoding.
        results: Where captions go.
        named: The images.
        limits: The largest image to decode.
        run: Share, part size, resuming, failures.
        look: How to look into one image's caption, which parts cannot show.
    """

    decoding: DecodeOptions
    results: Results
    named: Named
    limits: ImageLimits
    run: Run
    look: Look

    @property
    def format(self) -> str:
        return self.results.format or "jsonl"

    @property
    def share(self) -> Share:
        return Share() if self.run.shard is None else Share.parse(self.run.shard)


def check_parts_job(job: PartsJob) -> None:
    """Check that a folder of parts is all that was asked for.

    Raises:
        UsageError: It is not.
    """
    results = job.results
    flag = job.run.parts_flag
    if len(results.outputs) != 1:
        raise UsageError(f"{flag} needs one output, a folder", hint="Name one, as in -o captions/")
    if job.format not in PARTS_FORMATS:
        raise UsageError(
            f"--format is '{job.format}'; parts are {' or '.join(PARTS_FORMATS)}",
            hint="capgen merge writes other formats.",
        )
    place = results.outputs[0]
    check_driver(place)
    if suffix_format(Path(place)) is not None:
        raise UsageError(
            f"-o {without_credentials(place)}: {flag} writes a folder of parts",
            hint=f"Name a folder, and then: capgen merge FOLDER -o {Path(place).name}",
        )
    if results.sidecar is not None or results.write_metadata or results.as_json:
        raise UsageError(
            f"{flag} writes parts only, no sidecars, metadata or printed JSON",
            hint="capgen apply writes the captions of merged records anywhere.",
        )
    if job.look.asked:
        raise UsageError(f"{job.look.flag} is for one image, not for {flag}")
    _ = job.share


def run_parts(console: Console, load: Callable[[], Captioner], job: PartsJob, lanes: int) -> int:
    """Load the captioner, caption a share, show progress and failures, and return the exit code."""
    with _told_if_interrupted(console, lambda: 0, job.run.resume):
        captioner = load()
    share_job = share_job_of(job)
    run = share_job.run
    batch = replace(run.batch, lanes=lanes if captioner.runtime.name == "onnx" else 1)
    share_job = replace(share_job, run=replace(run, batch=batch))
    _, notes = captioner.settings(batch.decoding)
    events = caption_share(captioner, units_of(job), share_job)
    return show_share(console, events, share_job, job, notes)


def run_on_ray(console: Console, model: ModelOptions, job: PartsJob) -> int:
    """Caption a share on a Ray cluster, show what happens, and return the exit code."""
    from capgen.distributed.ray_engine import caption_with_ray

    share_job = share_job_of(job)
    events = caption_with_ray(
        partial(_load_on_worker, model, share_job.run.tags),
        units_of(job),
        share_job,
        job.run,
        on_gpus=may_use_gpus(model),
        served=model.served,
    )
    return show_share(console, events, share_job, job)


def _load_on_worker(model: ModelOptions, tags: TagOptions, threads: int) -> Captioner:
    return load_captioner(model, tags, threads=threads)


def share_job_of(job: PartsJob) -> ShareJob:
    """Return what each machine does."""
    batch = BatchRun(
        decoding=replace(job.decoding, confidence=job.results.scores),
        options=from_known_fields(BatchOptions, vars(job.run)),
        limits=job.limits,
    )
    return ShareJob(
        place=job.results.outputs[0],
        format=job.format,
        share=job.share,
        part_size=job.run.part_size or DEFAULT_PART_SIZE,
        resume=job.run.resume,
        run=PartsRun(batch=batch, tags=from_known_fields(TagOptions, vars(job.results))),
    )


def units_of(job: PartsJob) -> Iterator[Unit]:
    """Return the whole list."""
    named = job.named
    return list_units(
        named.images or [],
        from_known_fields(InputOptions, vars(named)),
        job.limits,
        named.manifest,
        sys.stdin.buffer if sys.stdin is not None else None,
    )


@contextmanager
def _told_if_interrupted(console: Console, done: Callable[[], int], resume: bool) -> Iterator[None]:
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        again = "the same command" if resume else "without --no-resume the same command"
        console.note(f"stopped after {done():,} images; what is done is kept: {again} goes on")
        raise


def show_share(
    console: Console,
    events: Generator[ShareEvent | ScheduleEvent, None, None],
    share_job: ShareJob,
    job: PartsJob,
    notes: tuple[str, ...] = (),
) -> int:
    """Show the events of a share, and return the exit code."""
    finished = share = None
    images = done = 0
    on_workers = job.run.engine != "local"
    with ExitStack() as stack:
        screen = stack.enter_context(BatchScreen(console, None, of_all=notes))
        stack.enter_context(_told_if_interrupted(console, lambda: done, job.run.resume))
        for event in stack.enter_context(closing(events)):
            if isinstance(event, ImageDone):
                done += 1
                screen.show(event)
            elif isinstance(event, PartDone):
                if on_workers:  # whose images are not told one by one
                    done += event.records
                    screen.count(event.records, sum(event.failures.values()))
            elif isinstance(event, PartReused):
                images += event.images
                screen.skip(event.images)
            elif isinstance(event, BatchFinished):
                finished = event
            elif isinstance(event, ShareFinished):
                share = event
            else:
                show_workers(console, screen, event)
    assert finished is not None
    if share is not None and share.reused:
        there = f"{counted(share.reused, 'part')} ({counted(images, 'image')})"
        console.note(f"{there} {'is' if share.reused == 1 else 'are'} there from an earlier run")
    place = without_credentials(share_job.place)
    console.note(summary(finished, place))
    if share is not None and not share.complete:
        whole = f"capgen merge {place}"
        console.note(f"share {share.done.share} is complete; when all are, check with: {whole}")
    return exit_code(finished, job.run.fail_on)
