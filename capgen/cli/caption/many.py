"""`capgen caption` with many images: runs the pipeline and hands records to outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import partial

from capgen.captioning.batch.inputs import Inputs
from capgen.captioning.batch.journal import Journal, journal_path
from capgen.captioning.batch.pipeline import BatchFinished, BatchRun, ImageDone, caption_all
from capgen.captioning.batch.sources import Source
from capgen.captioning.captioner import Captioner
from capgen.cli.beside import open_beside, summarise
from capgen.cli.caption.options import Results, Run
from capgen.cli.caption.outputs import Captioned, CaptionOutputs, Problem
from capgen.cli.caption.print_records import open_printer
from capgen.cli.caption.progress import BatchScreen, summary
from capgen.cli.caption.tally import Tally, interrupted
from capgen.cli.console import Console, counted, listed
from capgen.config import DecodeOptions, ImageLimits
from capgen.errors import StorageError
from capgen.output.beside import BesideWriters
from capgen.output.files import OutputFiles, Target
from capgen.output.sidecars import Sidecars
from capgen.undo_file import known_originals


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
    with ExitStack() as stack:
        outputs = CaptionOutputs(
            *(console, job.targets, job.results, partial(open_journal, captioner, job)),
            resume=job.run.resume,
        )
        stack.callback(outputs.abandon)
        beside = open_beside(job.results, job.sidecars, job.limits, dry_run=job.results.dry_run)
        finished, failed = _caption(console, captioner, job, lanes, outputs, beside, tally)
    unmet = 0 if finished.stopped else outputs.unmet
    # Without any image, a disk may be missing, and with it only for now what was done.
    missing = unmet > 0 and not finished.captions
    kept = outputs.close(failed=failed, stopped=finished.stopped or missing)
    written = [target for target in job.targets if target not in failed]
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
    return exit_code(finished, fail_on) or int(unwritten or bool(failed))


def _caption(
    console: Console,
    captioner: Captioner,
    job: BatchJob,
    lanes: int,
    outputs: CaptionOutputs,
    beside: BesideWriters,
    tally: Tally,
) -> tuple[BatchFinished, Mapping[Target, StorageError]]:
    """Caption all images and write what was asked for; return the end, and outputs that failed."""
    finished = None
    with ExitStack() as stack:
        _, notes = captioner.settings(job.decoding)
        screen = BatchScreen(console, job.inputs.total, of_all=notes)

        def problem(code: str, message: str) -> None:
            tally.unwritten[code] += 1
            screen.problem(message)

        files = outputs.open(problem, partial(_say_failed, console))
        stack.enter_context(files)
        printed = open_printer(console, job.format, job.results, alone=job.alone)
        print_record = None if job.targets else stack.enter_context(printed)
        stack.enter_context(screen)
        run = BatchRun(
            decoding=job.decoding,
            options=job.run,
            limits=job.limits,
            journal=outputs.journal,
            lanes=lanes if captioner.runtime.name == "onnx" else 1,
            originals=_originals(job.results, beside),
            thumbnails=outputs.thumbnails,
        )
        running = caption_all(captioner, sources_of(job, beside), run)
        for event in stack.enter_context(closing(running)):
            if isinstance(event, BatchFinished):
                finished = event
                continue
            shown, beside_image = _write(event, outputs, files, beside, problem)
            if print_record is not None:
                print_record(shown.record, beside_image)
            screen.show(shown)
            tally.add(shown)
            if tally.unwritten and job.run.fail_fast:
                finished = tally.stopped()
                break
    assert finished is not None
    return finished, files.failed


def _write(
    event: ImageDone,
    outputs: CaptionOutputs,
    files: OutputFiles[Captioned],
    beside: BesideWriters,
    problem: Problem,
) -> tuple[ImageDone, bool]:
    """Write the caption of one image; return it with the record that messages are about.

    Also returns whether the caption was written beside the image or into it.
    """
    decided = outputs.decided(event.record)
    wrote = beside.write(decided, event.source.file, event.source.label)
    for code, message in wrote.problems.items():
        problem(code, message)
    item = Captioned(event, getattr(wrote.record, "unwritten", None))
    files.write(item)
    return replace(event, record=outputs.shown(item)), wrote.written


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
