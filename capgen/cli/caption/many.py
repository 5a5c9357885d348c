"""`capgen caption` with many images: runs the pipeline and hands records to outputs."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from capgen.captioning.batch.inputs import Inputs
from capgen.captioning.batch.journal import Journal, journal_path
from capgen.captioning.batch.pipeline import BatchFinished, BatchRun, ImageDone, caption_all
from capgen.captioning.batch.sources import Source
from capgen.captioning.captioner import Captioner
from capgen.captioning.runtimes.cores import usable_cores
from capgen.cli.caption.options import Results, Run
from capgen.cli.caption.progress import BatchScreen, summary
from capgen.cli.console import Console, with_scores
from capgen.config import DecodeOptions, ImageLimits
from capgen.images.metadata.undo import UndoFile
from capgen.images.metadata.write import MetadataWriter
from capgen.output.base import FORMATS
from capgen.output.escaping import one_line
from capgen.output.formats import open_format
from capgen.output.sidecars import Sidecars
from capgen.records import Caption, CaptionFailure, Record, Unwritten

# More lanes take memory and gain little.
_MOST_LANES = 8

# Writes beside an image or into it; returns what went wrong, or an empty string.
BesideWriter = Callable[[ImageDone], str]
RecordWriter = Callable[[ImageDone], None]


@dataclass(frozen=True, kw_only=True)
class BatchJob:
    """What `capgen caption` was asked to do with many images.

    Attributes:
        inputs: The images.
        decoding: What to ask of decoding.
        run: Batch size, threads, resuming, failures.
        limits: The largest image to decode.
        results: Where captions go.
        format: Format of the output file or of stdout: a key of `FORMATS`.
        sidecars: Text files beside the images, or None.
        alone: The only name that was given, or None. Such an image is printed without its path.
    """

    inputs: Inputs
    decoding: DecodeOptions
    run: Run
    limits: ImageLimits
    results: Results
    format: str
    sidecars: Sidecars | None
    alone: str | None


def lanes_and_threads(total: int | None, batch_size: int) -> tuple[int, int]:
    """Return how many batches to run at once on the CPU, and the threads of each.

    Batches side by side keep cores busier than one batch spread over them, unless there are
    only a few images.
    """
    cores = usable_cores()
    batches = _MOST_LANES if total is None else math.ceil(total / batch_size)
    lanes = max(1, min(cores, batches, _MOST_LANES))
    return lanes, max(1, cores // lanes)


def run_batch(console: Console, captioner: Captioner, job: BatchJob, lanes: int) -> int:
    """Caption images, write what was asked for, and return the exit code."""
    finished = None
    tally = _Tally()
    with ExitStack() as stack:
        journal = _open_journal(captioner, job)
        if journal is not None:
            stack.callback(journal.close)
        metadata = _open_metadata(job.results)
        beside = _beside_writers(job, metadata)
        write_record = _open_records(console, stack, job, metadata)
        screen = stack.enter_context(BatchScreen(console, job.inputs.total))
        running = caption_all(
            captioner,
            _without_finished(job),
            BatchRun(
                decoding=job.decoding,
                options=job.run,
                limits=job.limits,
                journal=journal,
                lanes=lanes if captioner.runtime.name == "onnx" else 1,
                originals={} if metadata is None else metadata.undo.originals,
                thumbnails=job.results.output is not None and FORMATS[job.format].thumbnails,
            ),
        )
        for event in stack.enter_context(closing(running)):
            if isinstance(event, BatchFinished):
                finished = event
                continue
            for code, write in beside.items():
                problem = write(event)
                if problem:
                    tally.unwritten[code] += 1
                    screen.problem(problem)
                    event = replace(event, record=_with_problem(event.record, code, problem))
            write_record(event)
            screen.show(event)
            tally.add(event)
            if tally.unwritten and job.run.fail_fast:
                finished = tally.stopped()
                break
    assert finished is not None
    complete = FORMATS[job.format].holds_records and not finished.stopped
    if journal is not None and complete:
        journal.close(remove=True)
    _summarise(console, job, finished, tally.unwritten)
    if journal is not None and not complete:
        console.note(f"keeping {journal.path}: the same command will skip what is done")
    if metadata is not None:
        verb = "would be written" if job.results.dry_run else "written"
        console.note(f"captions {verb} into {metadata.changed} images")
    fail_on = job.run.fail_on
    return exit_code(finished, fail_on) or int(bool(tally.unwritten) and fail_on != "none")


class _Tally:
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
        """Return the end of a run that stopped because a caption could not be written."""
        return BatchFinished(
            captions=self._captions,
            failures=dict(self._failures.most_common()),
            reused=self._reused,
            seconds=time.monotonic() - self._started,
            stopped=True,
        )


def exit_code(finished: BatchFinished, fail_on: str) -> int:
    """Return 0 or 1 as `--fail-on` says; a run that was stopped has failed."""
    if not finished.failures or fail_on == "none":
        return int(finished.stopped)
    return int(fail_on == "any" or not finished.captions or finished.stopped)


def _open_journal(captioner: Captioner, job: BatchJob) -> Journal | None:
    output, resume = job.results.output, job.run.resume
    if output is None:
        return None
    settings, _ = captioner.settings(job.decoding)
    recorded = captioner.record_settings(settings)
    fingerprint = captioner.folder.fingerprint
    journal = Journal(journal_path(output), captioner.name, fingerprint, recorded, fresh=not resume)
    if resume and FORMATS[job.format].holds_records:
        journal.absorb(output)
    return journal


def _open_metadata(results: Results) -> MetadataWriter | None:
    if results.changes_written_to is None:
        return None
    return MetadataWriter(UndoFile(results.changes_written_to), dry_run=results.dry_run)


def _beside_writers(job: BatchJob, metadata: MetadataWriter | None) -> dict[str, BesideWriter]:
    """Return the writers of sidecars and metadata, by the code of their problems."""
    writers: dict[str, BesideWriter] = {}
    if metadata is not None:
        into = partial(_write_metadata, metadata)
        writers["metadata"] = partial(_write_beside, into, "its caption is not written into it")
    if job.sidecars is not None:
        writers["sidecar"] = partial(_write_beside, job.sidecars.write, "it has no sidecar")
    return writers


def _write_metadata(metadata: MetadataWriter, file: Path, caption: Caption) -> str:
    return metadata.write(file, caption.text)


def _open_records(
    console: Console, stack: ExitStack, job: BatchJob, metadata: MetadataWriter | None
) -> RecordWriter:
    if job.results.output is not None:
        write = stack.enter_context(open_format(job.results.output, job.format, job.results))
        return lambda event: write(event.record, event.thumbnail)
    if job.format == "json":
        return stack.enter_context(_json_array(console))
    if job.format == "jsonl":
        return lambda event: console.record(event.record)
    if job.sidecars is not None or metadata is not None:
        return lambda event: None
    return lambda event: _print_caption(
        console, event.record, event.record.path != job.alone, job.results.scores
    )


def _with_problem(record: Record, code: str, problem: str) -> Record:
    if not isinstance(record, Caption):
        return record
    before = record.unwritten
    if before is None:
        return replace(record, unwritten=Unwritten(code=code, message=problem))
    return replace(record, unwritten=replace(before, message=f"{before.message}; {problem}"))


@contextmanager
def _json_array(console: Console) -> Iterator[Callable[[ImageDone], None]]:
    records: list[Record] = []
    yield lambda event: records.append(event.record)
    console.json([record.to_dict() for record in records])


def _print_caption(console: Console, record: Record, with_path: bool, scores: bool) -> None:
    if isinstance(record, Caption):
        for caption in (record, *record.alternatives):
            line = with_scores(caption) if scores else caption.text
            console.data(f"{one_line(record.path or '')}\t{line}" if with_path else line)


def _write_beside(write: Callable[[Path, Caption], str], missing: str, event: ImageDone) -> str:
    if not isinstance(event.record, Caption):
        return ""
    if event.source.file is None:
        return f"{event.source.label}: not a file, so {missing}"
    return write(event.source.file, event.record)


def _without_finished(job: BatchJob) -> Iterable[Source]:
    """Leave out images whose sidecar would be skipped, if nothing else is written."""
    sidecars, results = job.sidecars, job.results
    elsewhere = results.write_metadata or results.output is not None or job.format != "text"
    if sidecars is None or elsewhere:
        return job.inputs
    return (
        source for source in job.inputs if source.file is None or not sidecars.leaves(source.file)
    )


def _summarise(
    console: Console, job: BatchJob, finished: BatchFinished, unwritten: Mapping[str, int]
) -> None:
    failed = sum(finished.failures.values())
    if job.results.output is not None or job.sidecars is not None:
        place = "sidecars" if job.results.output is None else str(job.results.output)
        console.note(summary(finished, place, unwritten))
    elif failed > 1 or unwritten:
        console.note(summary(finished, unwritten=unwritten))
