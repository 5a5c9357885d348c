"""`capgen caption` with many images: runs the pipeline and hands records to outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial

from capgen.captioning.batch.inputs import Inputs
from capgen.captioning.batch.journal import Journal, journal_path
from capgen.captioning.batch.pipeline import BatchFinished, BatchRun, ImageDone, caption_all
from capgen.captioning.batch.sources import Source
from capgen.captioning.captioner import Captioner
from capgen.cli.beside import open_beside, summarise
from capgen.cli.caption.options import Results, Run
from capgen.cli.caption.outputs import Captioned, CaptionOutputs
from capgen.cli.caption.progress import BatchScreen, summary
from capgen.cli.caption.tally import Tally, interrupted
from capgen.cli.console import Console, caption_fields, counted, listed
from capgen.config import DecodeOptions, ImageLimits
from capgen.errors import StorageError
from capgen.output.beside import BesideWriters
from capgen.output.escaping import one_line
from capgen.output.files import Target
from capgen.output.sidecars import Sidecars
from capgen.output.tags import tags_of
from capgen.records import Caption, Record
from capgen.undo_file import known_originals

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
        targets: The files of `-o`.
        format: Format of stdout, if there are none.
        sidecars: Files beside the images, or None.
        alone: The only name that was given, or None. Such an image is printed without its path.
    """

    inputs: Inputs
    decoding: DecodeOptions
    run: Run
    limits: ImageLimits
    results: Results
    targets: tuple[Target, ...]
    format: str
    sidecars: Sidecars | None
    alone: str | None


def run_batch(console: Console, load: Callable[[], Captioner], job: BatchJob, lanes: int) -> int:
    """Load the captioner, caption images, write what was asked for, and return the exit code.

    If the run is interrupted, tells what was done and how to go on.
    """
    tally = Tally()
    try:
        return _run(console, load(), job, lanes, tally)
    except (KeyboardInterrupt, SystemExit):
        console.note(interrupted(tally, job.results, job.inputs.total, resume=job.run.resume))
        raise


def _run(console: Console, captioner: Captioner, job: BatchJob, lanes: int, tally: Tally) -> int:
    finished = None
    with ExitStack() as stack:
        outputs = CaptionOutputs(
            *(console, job.targets, job.results, partial(open_journal, captioner, job)),
            resume=job.run.resume,
        )
        stack.callback(outputs.abandon)
        beside = open_beside(job.results, job.sidecars, job.limits, dry_run=job.results.dry_run)
        _, notes = captioner.settings(job.decoding)
        screen = BatchScreen(console, job.inputs.total, of_all=notes)

        def problem(code: str, message: str) -> None:
            tally.unwritten[code] += 1
            screen.problem(message)

        files = outputs.open(problem, partial(_say_failed, console))
        stack.enter_context(files)
        print_record = None if job.targets else _open_printer(console, stack, job)
        stack.enter_context(screen)
        running = caption_all(
            captioner,
            sources_of(job, beside),
            BatchRun(
                decoding=job.decoding,
                options=job.run,
                limits=job.limits,
                journal=outputs.journal,
                lanes=lanes if captioner.runtime.name == "onnx" else 1,
                originals=_originals(job.results, beside),
                thumbnails=outputs.thumbnails,
            ),
        )
        for event in stack.enter_context(closing(running)):
            if isinstance(event, BatchFinished):
                finished = event
                continue
            decided = outputs.decided(event.record)
            wrote = beside.write(decided, event.source.file, event.source.label)
            for code, message in wrote.problems.items():
                problem(code, message)
            item = Captioned(event, getattr(wrote.record, "unwritten", None))
            files.write(item)
            event = replace(event, record=outputs.shown(item))
            if print_record is not None:
                print_record(event, wrote.written)
            screen.show(event)
            tally.add(event)
            if tally.unwritten and job.run.fail_fast:
                finished = tally.stopped()
                break
    assert finished is not None
    unmet = 0 if finished.stopped else outputs.unmet
    # Without any image, a disk may be missing, and with it only for now what was done.
    missing = unmet > 0 and not finished.captions
    kept = outputs.close(failed=files.failed, stopped=finished.stopped or missing)
    written = [target for target in job.targets if target not in files.failed]
    _summarise(console, job, finished, tally.unwritten, beside, written)
    if unmet:
        console.note(
            f"left out: {counted(unmet, 'record')} from an earlier run (images no longer there)"
        )
    if kept:
        names = listed([str(journal.path) for journal in kept])
        console.note(f"keeping {names}: the same command will skip what is done")
    summarise(console, beside)
    fail_on = job.run.fail_on
    unwritten = bool(tally.unwritten) and fail_on != "none"
    return exit_code(finished, fail_on) or int(unwritten or bool(files.failed))


def _say_failed(console: Console, target: Target, error: StorageError) -> None:
    console.error(error.message, error.hint or "The other outputs are written.")


def exit_code(finished: BatchFinished, fail_on: str) -> int:
    """Return 0 or 1 as `--fail-on` says; a run that was stopped has failed."""
    if not finished.failures or fail_on == "none":
        return int(finished.stopped)
    return int(fail_on == "any" or not finished.captions or finished.stopped)


def open_journal(captioner: Captioner, job: BatchJob, target: Target) -> Journal:
    """Open the journal of an output, and take over the output's records."""
    settings, _ = captioner.settings(job.decoding)
    journal = Journal(
        journal_path(target.path),
        captioner.name,
        captioner.model.fingerprint,
        captioner.record_settings(settings),
        fresh=not job.run.resume,
        name_key=captioner.prompting.name_key,
        outdated=captioner.prompting.is_outdated,
    )
    if job.run.resume and target.kind.holds_records:
        journal.absorb(target.path)
    return journal


def _originals(results: Results, beside: BesideWriters) -> Mapping[str, str]:
    """Return the hashes that images had before captions were written into them, by any run."""
    if beside.undo is not None:
        return beside.undo.originals
    return known_originals(results.undo_file)


def _open_printer(console: Console, stack: ExitStack, job: BatchJob) -> RecordWriter:
    """Return what prints records; of text only the captions that are written nowhere."""
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
    elsewhere = results.write_metadata or bool(job.targets) or job.format != "text"
    # Tags are added to an XMP sidecar whose description stays.
    if sidecars is None or elsewhere or (results.tags and sidecars.holds_xmp):
        return job.inputs
    return (source for source in job.inputs if not beside.passes_over(source.file))


def _summarise(
    console: Console,
    job: BatchJob,
    finished: BatchFinished,
    unwritten: Mapping[str, int],
    beside: BesideWriters,
    written: Sequence[Target],
) -> None:
    failed = sum(finished.failures.values())
    place = ""
    if job.targets or job.sidecars is not None:
        place = listed([target.name for target in written]) if job.targets else "sidecars"
    already = 0 if job.sidecars is None else job.sidecars.already
    text = summary(finished, place, unwritten, beside.kept, already)
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
