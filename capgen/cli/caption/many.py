"""Many images for `capgen caption`: runs the pipeline, hands records to outputs."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from capgen.captioning.batch.inputs import Inputs
from capgen.captioning.batch.journal import Journal, journal_path
from capgen.captioning.batch.pipeline import BatchFinished, BatchRun, ImageDone, caption_all
from capgen.captioning.batch.sources import Source
from capgen.captioning.captioner import Captioner
from capgen.captioning.runtimes.cores import usable_cores
from capgen.cli.caption.beside import BesideWriters, sweeping
from capgen.cli.caption.progress import BatchScreen, summary
from capgen.cli.console import Console, with_scores
from capgen.config import BatchOptions, DecodeOptions, ImageLimits, MetadataOptions
from capgen.images.metadata.write import MetadataWriter
from capgen.output.base import FORMATS
from capgen.output.formats import open_format
from capgen.output.sidecars import Sidecars
from capgen.records import Caption, CaptionFailure, Record
from capgen.undo import UndoFile

# More lanes than this gain nothing that their memory is worth.
_MOST_LANES = 8

# Is told whether the caption has been written beside the image or into it.
RecordWriter = Callable[[ImageDone, bool], None]


@dataclass(frozen=True, kw_only=True)
class BatchJob:
    """What `capgen caption` was asked to do with many images.

    Attributes:
        inputs: The images.
        decoding: What to ask of decoding.
        batch: Batch size, threads, failures.
        limits: The largest image to decode.
        output: File for the records, or None.
        format: Format of that file (a key of `FORMATS`), or of stdout.
        resume: Go on from the journal and the output of an earlier run.
        sidecars: Text files beside the images, or None.
        write_metadata: Write captions into the images.
        metadata: What becomes of texts that are there, and which fields take the caption.
        undo_file: Where changes of images and sidecars are written down, or None.
        dry_run: Only say how many images would change.
        alone: The only thing that was named, or None: an image of that name is printed
            without it.
        scores: Print confidence and score behind each caption.
    """

    inputs: Inputs
    decoding: DecodeOptions
    batch: BatchOptions
    limits: ImageLimits
    output: Path | None
    format: str
    resume: bool
    sidecars: Sidecars | None
    write_metadata: bool
    metadata: MetadataOptions
    undo_file: Path | None
    dry_run: bool
    alone: str | None
    scores: bool = False


def lanes_and_threads(total: int | None, batch_size: int) -> tuple[int, int]:
    """Return how many batches to run at once on the CPU, and the threads of each.

    Whole batches side by side keep cores busier than one batch spread over them; a few
    images are done sooner the other way.
    """
    cores = usable_cores()
    batches = _MOST_LANES if total is None else math.ceil(total / batch_size)
    lanes = max(1, min(cores, batches, _MOST_LANES))
    return lanes, max(1, cores // lanes)


def run_batch(
    console: Console, captioner: Captioner, job: BatchJob, lanes: int, fail_on: str
) -> int:
    """Caption images, write what was asked for, and return the exit code.

    Raises:
        CapgenError: The run cannot go on (a full disk, a model that does not fit).
    """
    finished = None
    tally = _Tally()
    with ExitStack() as stack:
        journal = _open_journal(captioner, job)
        if journal is not None:
            stack.callback(journal.close)
        undo = None if job.undo_file is None else UndoFile(job.undo_file)
        metadata = _open_metadata(job, undo)
        if job.sidecars is not None:
            job.sidecars.undo = undo
        beside = BesideWriters(metadata, job.sidecars)
        write_record = _open_records(console, stack, job, beside)
        screen = stack.enter_context(BatchScreen(console, job.inputs.total))
        running = caption_all(
            captioner,
            _sources(job),
            BatchRun(
                decoding=job.decoding,
                options=job.batch,
                limits=job.limits,
                journal=journal,
                lanes=lanes if captioner.runtime.name == "onnx" else 1,
                originals={} if undo is None else undo.originals,
                thumbnails=job.output is not None and FORMATS[job.format].thumbnails,
            ),
        )
        for event in stack.enter_context(closing(running)):
            if isinstance(event, BatchFinished):
                finished = event
                continue
            event, problems, taken = beside.write(event)
            for code, problem in problems.items():
                tally.unwritten[code] += 1
                screen.problem(problem)
            write_record(event, taken)
            screen.show(event)
            tally.add(event)
            if tally.unwritten and job.batch.fail_fast:
                finished = tally.stopped()
                break
    assert finished is not None
    complete = FORMATS[job.format].holds_records and not finished.stopped
    if journal is not None and complete:
        journal.close(remove=True)
    _summarise(console, job, finished, tally.unwritten)
    if journal is not None and not complete:
        console.note(f"{journal.path} stays: with it, the same command skips what is done")
    if metadata is not None:
        verb = "would be written" if job.dry_run else "written"
        console.note(f"captions {verb} into {metadata.changed} images")
        if metadata.kept:
            many = "1 image keeps" if metadata.kept == 1 else f"{metadata.kept} images keep"
            console.note(
                f"{many} a description that a person wrote: "
                "--on-description append or replace changes that"
            )
    return exit_code(finished, fail_on) or int(bool(tally.unwritten) and fail_on != "none")


class _Tally:
    """What became of the images so far."""

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

    def stopped(self) -> BatchFinished:
        """Return the end of a run that a caption stopped because it could not be written."""
        return BatchFinished(
            captions=self._captions,
            failures=dict(self._failures.most_common()),
            reused=self._reused,
            seconds=time.monotonic() - self._started,
            stopped=True,
        )


def exit_code(finished: BatchFinished, fail_on: str) -> int:
    """Return 0 or 1 by the policy of `--fail-on`; a run that was stopped has failed."""
    if not finished.failures or fail_on == "none":
        return int(finished.stopped)
    return int(fail_on == "any" or not finished.captions or finished.stopped)


def _open_journal(captioner: Captioner, job: BatchJob) -> Journal | None:
    if job.output is None:
        return None
    settings, _ = captioner.settings(job.decoding)
    path = journal_path(job.output)
    journal = Journal(
        path,
        captioner.name,
        captioner.folder.fingerprint,
        captioner.record_settings(settings),
        fresh=not job.resume,
    )
    if job.resume and FORMATS[job.format].holds_records:
        journal.absorb(job.output)
    return journal


def _open_metadata(job: BatchJob, undo: UndoFile | None) -> MetadataWriter | None:
    if undo is None or not job.write_metadata:
        return None
    return MetadataWriter(undo, job.metadata, limits=job.limits, dry_run=job.dry_run)


def _open_records(
    console: Console, stack: ExitStack, job: BatchJob, beside: BesideWriters
) -> RecordWriter:
    """Return what writes or prints the records; captions that nothing else took are printed."""
    if job.output is not None:
        write = stack.enter_context(open_format(job.output, job.format))
        return lambda event, taken: write(event.record, event.thumbnail)
    if job.format == "json":
        return stack.enter_context(_json_array(console))
    if job.format == "jsonl":
        return lambda event, taken: console.record(event.record)
    return lambda event, taken: (
        None
        if beside and taken
        else _print_caption(console, event.record, event.record.path != job.alone, job.scores)
    )


@contextmanager
def _json_array(console: Console) -> Iterator[RecordWriter]:
    records: list[Record] = []
    yield lambda event, taken: records.append(event.record)
    console.json([record.to_dict() for record in records])


def _print_caption(console: Console, record: Record, with_path: bool, scores: bool) -> None:
    if isinstance(record, Caption):
        for caption in (record, *record.alternatives):
            line = with_scores(caption) if scores else caption.text
            console.data(f"{record.path}\t{line}" if with_path else line)


def _sources(job: BatchJob) -> Iterable[Source]:
    """Leave out images whose sidecar stays as it is, where nothing else is asked for."""
    sidecars = job.sidecars
    if job.undo_file is None:  # nothing is written in the images' folders
        return job.inputs
    sources = sweeping(job.inputs)
    if sidecars is None or job.write_metadata or job.output is not None or job.format != "text":
        return sources
    return (source for source in sources if source.file is None or not sidecars.leaves(source.file))


def _summarise(
    console: Console, job: BatchJob, finished: BatchFinished, unwritten: Mapping[str, int]
) -> None:
    failed = sum(finished.failures.values())
    if job.output is not None or job.sidecars is not None:
        place = "sidecars" if job.output is None else str(job.output)
        console.note(summary(finished, place, unwritten))
    elif failed > 1 or unwritten:
        console.note(summary(finished, unwritten=unwritten))
