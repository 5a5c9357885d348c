"""Many pictures for `capgen caption`: runs the pipeline, hands records to outputs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from capgen.cli.batch_screen import BatchScreen, summary
from capgen.cli.console import Console, with_scores
from capgen.config import BatchOptions, DecodeOptions, ImageLimits
from capgen.inference.batch import BatchFinished, PictureDone, caption_all
from capgen.inference.captioner import Captioner
from capgen.inference.cores import usable_cores
from capgen.inference.inputs import Inputs
from capgen.inference.journal import Journal, journal_path
from capgen.inference.sources import Source
from capgen.output.formats import FORMATS, open_format
from capgen.output.metadata import MetadataWriter
from capgen.output.sidecars import Sidecars
from capgen.output.undo import UndoFile
from capgen.records import Caption, Record

# More lanes than this gain nothing that their memory is worth.
_MOST_LANES = 8

# Takes each picture's event; returns what could not be written, or an empty string.
Sink = Callable[[PictureDone], str]


@dataclass(frozen=True, kw_only=True)
class BatchJob:
    """What `capgen caption` was asked to do with many pictures.

    Attributes:
        inputs: The pictures.
        decoding: What to ask of decoding.
        batch: Batch size, threads, failures.
        limits: The largest picture to decode.
        output: File for the records, or None.
        format: Format of that file (a key of `FORMATS`), or of stdout.
        resume: Go on from the journal and the output of an earlier run.
        sidecars: Text files beside the pictures, or None.
        undo_file: Where changes are written down if captions are written into the pictures,
            or None.
        dry_run: Only say how many pictures would change.
        alone: The only thing that was named, or None: a picture of that name is printed
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
    undo_file: Path | None
    dry_run: bool
    alone: str | None
    scores: bool = False


def lanes_and_threads(total: int | None, batch_size: int) -> tuple[int, int]:
    """Return how many batches to run at once on the CPU, and the threads of each.

    Whole batches side by side keep cores busier than one batch spread over them; a few
    pictures are done sooner the other way.
    """
    cores = usable_cores()
    batches = _MOST_LANES if total is None else math.ceil(total / batch_size)
    lanes = max(1, min(cores, batches, _MOST_LANES))
    return lanes, max(1, cores // lanes)


def run_batch(
    console: Console, captioner: Captioner, job: BatchJob, lanes: int, fail_on: str
) -> int:
    """Caption pictures, write what was asked for, and return the exit code.

    Raises:
        CapgenError: The run cannot go on (a full disk, a model that does not fit).
    """
    finished, unwritten = None, 0
    with ExitStack() as stack:
        journal = _open_journal(captioner, job)
        if journal is not None:
            stack.callback(journal.close)
        metadata = _open_metadata(job)
        sinks = list(_open_sinks(console, stack, job, metadata))
        screen = stack.enter_context(BatchScreen(console, job.inputs.total))
        running = caption_all(
            captioner,
            _without_finished(job),
            job.decoding,
            job.batch,
            limits=job.limits,
            journal=journal,
            lanes=lanes if captioner.runtime.name == "onnx" else 1,
            originals=None if metadata is None else metadata.undo.originals,
            thumbnails=job.output is not None and FORMATS[job.format].thumbnails,
        )
        for event in stack.enter_context(closing(running)):
            if isinstance(event, BatchFinished):
                finished = event
                continue
            for sink in sinks:
                problem = sink(event)
                if problem:
                    unwritten += 1
                    screen.problem(problem)
            screen.show(event)
    assert finished is not None
    complete = FORMATS[job.format].holds_records and not finished.stopped
    if journal is not None and complete:
        journal.close(remove=True)
    _summarise(console, job, finished)
    if journal is not None and not complete:
        console.note(f"{journal.path} stays: with it, the same command skips what is done")
    if metadata is not None:
        verb = "would be written" if job.dry_run else "written"
        console.note(f"captions {verb} into {metadata.changed} pictures")
    return exit_code(finished, fail_on) or int(unwritten > 0 and fail_on != "none")


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


def _open_metadata(job: BatchJob) -> MetadataWriter | None:
    if job.undo_file is None:
        return None
    return MetadataWriter(UndoFile(job.undo_file), dry_run=job.dry_run)


def _open_sinks(
    console: Console, stack: ExitStack, job: BatchJob, metadata: MetadataWriter | None
) -> Iterator[Sink]:
    if metadata is not None:
        yield lambda event: _write_metadata(metadata, event)
    sidecars = job.sidecars
    if sidecars is not None:
        yield lambda event: _write_sidecar(sidecars, event)
    if job.output is not None:
        write = stack.enter_context(open_format(job.output, job.format))
        yield _silent(lambda event: write(event.record, event.thumbnail))
    elif job.format == "json":
        yield _silent(stack.enter_context(_json_array(console)))
    elif job.format == "jsonl":
        yield _silent(lambda event: console.record(event.record))
    elif sidecars is None and metadata is None:
        yield _silent(
            lambda event: _print_caption(
                console, event.record, event.record.path != job.alone, job.scores
            )
        )


def _silent(take: Callable[[PictureDone], None]) -> Sink:
    """Return a sink that never has anything to tell."""

    def sink(event: PictureDone) -> str:
        take(event)
        return ""

    return sink


@contextmanager
def _json_array(console: Console) -> Iterator[Callable[[PictureDone], None]]:
    records: list[Record] = []
    yield lambda event: records.append(event.record)
    console.json([record.to_dict() for record in records])


def _print_caption(console: Console, record: Record, with_path: bool, scores: bool) -> None:
    if isinstance(record, Caption):
        for caption in (record, *record.alternatives):
            line = with_scores(caption) if scores else caption.text
            console.data(f"{record.path}\t{line}" if with_path else line)


def _write_metadata(metadata: MetadataWriter, event: PictureDone) -> str:
    if not isinstance(event.record, Caption):
        return ""
    if event.source.file is None:
        return f"{event.source.label}: not a file, so no caption is written into it"
    return metadata.write(event.source.file, event.record.text)


def _write_sidecar(sidecars: Sidecars, event: PictureDone) -> str:
    if not isinstance(event.record, Caption):
        return ""
    if event.source.file is None:
        return f"{event.source.label}: not a file, so it has no sidecar"
    return sidecars.write(event.source.file, event.record)


def _without_finished(job: BatchJob) -> Iterable[Source]:
    """Leave out pictures whose sidecar stays as it is, where nothing else is asked for."""
    sidecars = job.sidecars
    if (
        sidecars is None
        or job.undo_file is not None
        or job.output is not None
        or job.format != "text"
    ):
        return job.inputs
    return (
        source for source in job.inputs if source.file is None or not sidecars.leaves(source.file)
    )


def _summarise(console: Console, job: BatchJob, finished: BatchFinished) -> None:
    failed = sum(finished.failures.values())
    if job.output is not None or job.sidecars is not None:
        console.note(summary(finished, "sidecars" if job.output is None else str(job.output)))
    elif failed > 1:
        console.note(summary(finished))
