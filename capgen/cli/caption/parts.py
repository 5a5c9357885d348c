"""`capgen caption` into a folder of parts, such as one of many machines does."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, fields, replace
from typing import TypeVar

from capgen.captioning.batch.pipeline import BatchFinished, BatchRun, ImageDone
from capgen.captioning.captioner import Captioner
from capgen.cli.caption.many import exit_code
from capgen.cli.caption.options import Named, Results, Run
from capgen.cli.caption.progress import BatchScreen, summary
from capgen.cli.console import Console
from capgen.config import BatchOptions, DecodeOptions, ImageLimits, InputOptions, TagOptions
from capgen.distributed.caption_parts import PartsRun
from capgen.distributed.caption_share import (
    PartReused,
    ShareEvent,
    ShareFinished,
    ShareJob,
    caption_share,
)
from capgen.distributed.plan import DEFAULT_PART_SIZE
from capgen.distributed.share import Share
from capgen.distributed.units import list_units
from capgen.errors import UsageError
from capgen.output.base import suffix_format

_Settings = TypeVar("_Settings")
# Formats of parts.
FORMATS = ("jsonl", "parquet")


@dataclass(frozen=True, kw_only=True)
class PartsJob:
    """What `capgen caption` was asked to do with many machines' images.

    Attributes:
        decoding: What to ask of decoding.
        results: Where captions go.
        named: The images.
        limits: The largest image to decode.
        run: Share, part size, resuming, failures.
    """

    decoding: DecodeOptions
    results: Results
    named: Named
    limits: ImageLimits
    run: Run

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
    flag = "--part-size" if job.run.shard is None else "--shard"
    if len(results.outputs) != 1:
        raise UsageError(
            f"{flag} needs one output, a folder",
            hint=f"Try: {flag} {job.run.shard or 1000} -o captions/",
        )
    if job.format not in FORMATS:
        raise UsageError(
            f"--format is '{job.format}'; parts are {' or '.join(FORMATS)}",
            hint="capgen merge writes other formats.",
        )
    place = results.outputs[0]
    if suffix_format(place) is not None:
        raise UsageError(
            f"-o {place}: {flag} writes a folder of parts",
            hint=f"Name a folder, and join the parts with: capgen merge FOLDER -o {place.name}",
        )
    if results.sidecar is not None or results.write_metadata or results.as_json:
        raise UsageError(
            f"{flag} writes parts only, no sidecars, metadata or printed JSON",
            hint="capgen apply writes the captions of merged records anywhere.",
        )
    _ = job.share


def run_parts(console: Console, captioner: Captioner, job: PartsJob, lanes: int) -> int:
    """Caption a share, show progress and failures, and return the exit code."""
    options = replace(job.decoding, confidence=job.results.scores)
    batch = BatchRun(
        decoding=options,
        options=_only(BatchOptions, job.run),
        limits=job.limits,
        lanes=lanes if captioner.runtime.name == "onnx" else 1,
    )
    share_job = ShareJob(
        place=str(job.results.outputs[0]),
        format=job.format,
        share=job.share,
        part_size=job.run.part_size or DEFAULT_PART_SIZE,
        resume=job.run.resume,
        run=PartsRun(batch=batch, tags=_only(TagOptions, job.results)),
    )
    named = job.named
    units = list_units(
        named.images or [],
        _only(InputOptions, named),
        job.limits,
        named.manifest,
        sys.stdin.buffer if sys.stdin is not None else None,
    )
    _, notes = captioner.settings(options)
    return show_share(console, caption_share(captioner, units, share_job), share_job, job, notes)


@contextmanager
def _told_if_interrupted(console: Console, done: Callable[[], int], resume: bool) -> Iterator[None]:
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        again = "the same command" if resume else "without --no-resume the same command"
        console.note(f"stopped after {done():,} images; what is done is kept: {again} goes on")
        raise


def _only(kind: type[_Settings], settings: _Settings) -> _Settings:
    """Return the settings of one class among those of a command: what other machines need."""
    names = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    return kind(**{name: getattr(settings, name) for name in names})


def show_share(
    console: Console,
    events: Generator[ShareEvent, None, None],
    share_job: ShareJob,
    job: PartsJob,
    notes: tuple[str, ...] = (),
) -> int:
    """Show the events of a share, and return the exit code."""
    finished = share = None
    images = done = 0
    with ExitStack() as stack:
        screen = stack.enter_context(BatchScreen(console, None, of_all=notes))
        stack.enter_context(_told_if_interrupted(console, lambda: done, job.run.resume))
        for event in stack.enter_context(closing(events)):
            if isinstance(event, ImageDone):
                done += 1
                screen.show(event)
            elif isinstance(event, PartReused):
                images += event.images
                screen.skip(event.images)
            elif isinstance(event, BatchFinished):
                finished = event
            elif isinstance(event, ShareFinished):
                share = event
    assert finished is not None
    if share is not None and share.reused:
        console.note(f"{share.reused:,} parts ({images:,} images) are there from an earlier run")
    console.note(summary(finished, share_job.place))
    if share is not None and not share.complete:
        whole = f"capgen merge {share_job.place}"
        console.note(f"share {share.done.share} is complete; when all are, check with: {whole}")
    return exit_code(finished, job.run.fail_on)
