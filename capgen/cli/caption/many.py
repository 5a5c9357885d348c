"""`capgen caption` with many images: runs the pipeline and hands records to outputs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace

from capgen.captioning.batch.inputs import Inputs
from capgen.captioning.batch.journal import Journal, journal_path
from capgen.captioning.batch.pipeline import BatchFinished, BatchRun, ImageDone, caption_all
from capgen.captioning.batch.sources import Source
from capgen.captioning.captioner import Captioner
from capgen.captioning.runtimes.cores import usable_cores
from capgen.cli.beside import open_beside, summarise
from capgen.cli.caption.decisions import open_reviews, record_to_write
from capgen.cli.caption.options import Results, Run
from capgen.cli.caption.progress import BatchScreen, summary
from capgen.cli.caption.tally import Tally, interrupted
from capgen.cli.console import Console, caption_fields
from capgen.config import DecodeOptions, ImageLimits
from capgen.output.base import FORMATS
from capgen.output.beside import BesideWriters
from capgen.output.escaping import one_line
from capgen.output.formats import open_format
from capgen.output.sidecars import Sidecars
from capgen.output.tags import tags_of
from capgen.records import Caption, Record
from capgen.reviews.journal import reviews_path
from capgen.reviews.reviewed_records import decided
from capgen.undo import known_originals

# More lanes take memory and gain little.
_MOST_LANES = 8

# Also gets whether the caption was written beside the image or into it.
RecordWriter = Callable[[ImageDone, bool], None]


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
        sidecars: Files beside the images, or None.
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
    """Caption images, write what was asked for, and return the exit code.

    If the run is interrupted, tells what was done and how to go on.
    """
    tally = Tally()
    try:
        return _run(console, captioner, job, lanes, tally)
    except (KeyboardInterrupt, SystemExit):
        if tally.done:
            console.note(interrupted(tally, job.results, job.inputs.total, resume=job.run.resume))
        raise


def _run(console: Console, captioner: Captioner, job: BatchJob, lanes: int, tally: Tally) -> int:
    finished = None
    with ExitStack() as stack:
        reviews = open_reviews(console, job.results.output, job.format)
        journal = open_journal(captioner, job)
        if journal is not None:
            stack.callback(journal.close)
        beside = open_beside(job.results, job.sidecars, job.limits, dry_run=job.results.dry_run)
        write_record = _open_records(console, stack, job, beside)
        screen = stack.enter_context(BatchScreen(console, job.inputs.total))
        running = caption_all(
            captioner,
            sources_of(job, beside),
            BatchRun(
                decoding=job.decoding,
                options=job.run,
                limits=job.limits,
                journal=journal,
                lanes=lanes if captioner.runtime.name == "onnx" else 1,
                originals=_originals(job.results, beside),
                thumbnails=job.results.output is not None and FORMATS[job.format].thumbnails,
            ),
        )
        for event in stack.enter_context(closing(running)):
            if isinstance(event, BatchFinished):
                finished = event
                continue
            shown = decided(event.record, reviews)
            wrote = beside.write(shown, event.source.file, event.source.label)
            for code, problem in wrote.problems.items():
                tally.unwritten[code] += 1
                screen.problem(problem)
            event = replace(event, record=record_to_write(event.record, wrote.record, job.format))
            write_record(event, wrote.written)
            screen.show(event)
            tally.add(event)
            if tally.unwritten and job.run.fail_fast:
                finished = tally.stopped()
                break
    assert finished is not None
    complete = FORMATS[job.format].holds_records and not finished.stopped
    if journal is not None and complete:
        journal.close(remove=True)
    _summarise(console, job, finished, tally.unwritten, beside.kept)
    if journal is not None and not complete:
        console.note(f"keeping {journal.path}: the same command will skip what is done")
    summarise(console, beside)
    fail_on = job.run.fail_on
    return exit_code(finished, fail_on) or int(bool(tally.unwritten) and fail_on != "none")


def exit_code(finished: BatchFinished, fail_on: str) -> int:
    """Return 0 or 1 as `--fail-on` says; a run that was stopped has failed."""
    if not finished.failures or fail_on == "none":
        return int(finished.stopped)
    return int(fail_on == "any" or not finished.captions or finished.stopped)


def open_journal(captioner: Captioner, job: BatchJob) -> Journal | None:
    """Open the journal of the output file, if there is one, and take over its records."""
    output, resume = job.results.output, job.run.resume
    if output is None:
        return None
    settings, _ = captioner.settings(job.decoding)
    recorded = captioner.record_settings(settings)
    fingerprint = captioner.model.fingerprint
    journal = Journal(
        journal_path(output),
        captioner.name,
        fingerprint,
        recorded,
        fresh=not resume,
        name_key=captioner.prompting.name_key,
    )
    if resume and FORMATS[job.format].holds_records:
        journal.absorb(output)
    return journal


def _originals(results: Results, beside: BesideWriters) -> Mapping[str, str]:
    """Return the hashes that images had before captions were written into them, by any run."""
    if beside.undo is not None:
        return beside.undo.originals
    return known_originals(results.undo_file)


def _open_records(
    console: Console, stack: ExitStack, job: BatchJob, beside: BesideWriters
) -> RecordWriter:
    """Return what writes or prints records; captions that are written nowhere are printed."""
    if job.results.output is not None:
        reviewed = reviews_path(job.results.output).is_file()
        opened = open_format(
            *(job.results.output, job.format, job.results, job.results), reviewed=reviewed
        )
        write = stack.enter_context(opened)
        return lambda event, written: write(event.record, event.thumbnail)
    if job.format == "json":
        return stack.enter_context(_json_array(console))
    if job.format == "jsonl":
        return lambda event, written: console.record(event.record)
    return lambda event, written: (
        None
        if written
        else _print_caption(console, event.record, event.record.path != job.alone, job.results)
    )


@contextmanager
def _json_array(console: Console) -> Iterator[RecordWriter]:
    records: list[Record] = []
    yield lambda event, written: records.append(event.record)
    console.json([record.to_dict() for record in records])


def _print_caption(console: Console, record: Record, with_path: bool, results: Results) -> None:
    if isinstance(record, Caption):
        tags = tags_of(record, results)
        for caption in (record, *record.alternatives):
            if with_path:  # a line for each caption, whatever is in it
                caption = replace(caption, text=one_line(caption.text))
            line = caption_fields(caption, results.scores, tags)
            console.data(f"{one_line(record.path or '')}\t{line}" if with_path else line)


def sources_of(job: BatchJob, beside: BesideWriters) -> Iterable[Source]:
    """Return the images, without those whose sidecar would be skipped if that is all."""
    sidecars, results = job.sidecars, job.results
    elsewhere = results.write_metadata or results.output is not None or job.format != "text"
    # Tags are added to an XMP sidecar whose description stays.
    if sidecars is None or elsewhere or (results.tags and sidecars.holds_xmp):
        return job.inputs
    return (source for source in job.inputs if not beside.passes_over(source.file))


def _summarise(
    console: Console,
    job: BatchJob,
    finished: BatchFinished,
    unwritten: Mapping[str, int],
    kept: int,
) -> None:
    failed = sum(finished.failures.values())
    output, place = job.results.output, ""
    if output is not None or job.sidecars is not None:
        place = "sidecars" if output is None else str(output)
    text = summary(finished, place, unwritten, kept)
    fields = {
        "captions": finished.captions,
        "failures": dict(finished.failures),
        "reused": finished.reused,
        "seconds": round(finished.seconds, 3),
        "unwritten": dict(unwritten),
        "output": place or None,
    }
    shown = bool(place) or failed > 1 or bool(unwritten)
    console.note(text, **fields) if shown else console.log(text, **fields)
