"""`capgen caption`: parses, calls the captioner, prints."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from capgen.cli.caption.one import caption_one, choose_way, look_into
from capgen.cli.caption.options import (
    FAIL_ON,
    FailOnOption,
    ImagesArgument,
    Look,
    ManifestOption,
    Results,
    ResumeOption,
)
from capgen.cli.console import Console
from capgen.cli.help import examples
from capgen.cli.options import (
    DECODING_PANEL,
    INPUT_PANEL,
    MODEL_PANEL,
    OUTPUT_PANEL,
    with_options,
    without,
)
from capgen.cli.user_defaults import unused_notes
from capgen.config import (
    BatchOptions,
    DecodeOptions,
    ImageLimits,
    InputOptions,
    MetadataOptions,
    ModelOptions,
)
from capgen.errors import UsageError
from capgen.output.base import format_of
from capgen.output.sidecars import Sidecars
from capgen.overwriting import (
    OWN_IMAGE,
    OWN_LINES,
    TEXT_OR_DATA,
    WEB_PAGE,
    InputFiles,
    Output,
    check_outputs,
)
from capgen.paths import check_place

if TYPE_CHECKING:
    from capgen.captioning.batch.inputs import Inputs

# Formats that are printed; the others need a file.
PRINTED = ("text", "json", "jsonl")

EXAMPLES = examples(
    "capgen caption photo.jpg",
    "capgen caption photo.jpg --beams 5 --num-captions 3",
    "capgen caption photo.jpg --diverse 5",
    "capgen caption photo.jpg --explain looked.html",
    "capgen caption photo.jpg --temperature 0.8 --top-p 0.9 --seed 1",
    "capgen caption holiday/ -r -o captions.jsonl",
    "find . -name '*.png' -print0 | capgen caption - -0 --sidecar .txt",
    "capgen caption *.jpg --model USER/NAME --device cuda",
)


@with_options(
    section="caption",
    panels=(MODEL_PANEL, DECODING_PANEL, Look.PANEL, OUTPUT_PANEL, INPUT_PANEL, BatchOptions.PANEL),
)
def caption_command(
    context: typer.Context,
    *,
    images: ImagesArgument = None,
    model: ModelOptions,
    decoding: Annotated[DecodeOptions, without("confidence")],
    look: Look,
    results: Results,
    metadata: MetadataOptions,
    named: InputOptions,
    limits: ImageLimits,
    batch: BatchOptions,
    manifest: ManifestOption = None,
    resume: ResumeOption = True,
    fail_on: FailOnOption = "any",
) -> None:
    """Say what is in images.

    One image prints its caption; several print their path, a tab and the caption.

    Where no option is given, the model's own defaults apply.
    """
    console = Console(quiet=results.quiet)
    for note in unused_notes(context, "caption"):
        console.note(note)
    if results.undo is not None:
        raise typer.Exit(_undo(console, results.undo))
    if fail_on not in FAIL_ON:
        raise UsageError(f"--fail-on is '{fail_on}'; it must be one of {', '.join(FAIL_ON)}")
    if not images and manifest is None:
        raise UsageError("No images were named", hint="Try: capgen caption photo.jpg")
    _check_pairs(results, look)
    if results.output is not None:
        check_place(results.output)
        chosen = format_of(results.output, results.format)
    else:
        chosen = _stdout_format(results.format, results.as_json)

    from capgen.captioning.batch.inputs import Inputs
    from capgen.captioning.captioner import Captioner

    stdin = sys.stdin.buffer if sys.stdin is not None else None
    inputs = Inputs(images or [], named, manifest=manifest, stdin=stdin, limits=limits)
    sidecars = _sidecars(inputs, results, metadata, look)
    decoding = replace(decoding, confidence=results.scores)
    load = partial(Captioner.from_pretrained, **vars(model))
    writes = (results.output, results.sidecar, results.changes_written_to) != (None, None, None)
    way = choose_way(look, inputs.alone, writes=writes, format=chosen)
    if way.kind == "look":
        look_into(console, load, way.image, decoding, limits, look, as_json=results.as_json)
        code = 0
    elif way.kind == "one":
        failed = caption_one(console, load(), way.image, decoding, limits)
        code = int(failed and fail_on != "none")
    else:
        from capgen.cli.caption.many import BatchJob, lanes_and_threads, run_batch

        job = BatchJob(
            inputs=inputs,
            decoding=decoding,
            batch=batch,
            limits=limits,
            output=results.output,
            format=chosen,
            resume=resume,
            sidecars=sidecars,
            write_metadata=results.write_metadata,
            metadata=metadata,
            undo_file=results.changes_written_to,
            dry_run=results.dry_run,
            alone=images[0] if images is not None and len(images) == 1 else None,
            scores=results.scores,
        )
        lanes, threads = lanes_and_threads(inputs.total, batch.batch_size)
        code = run_batch(console, load(threads=threads), job, lanes, fail_on)
    if code:
        raise typer.Exit(code)


def _check_pairs(results: Results, look: Look) -> None:
    """Check that options which go with another came with it.

    Raises:
        UsageError: One did not.
    """
    if results.dry_run and not results.write_metadata:
        raise UsageError("--dry-run goes with --write-metadata")
    if look.save_input is not None and not look.debug:
        raise UsageError("--save-input goes with --debug")


def _sidecars(
    inputs: Inputs, results: Results, metadata: MetadataOptions, look: Look
) -> Sidecars | None:
    """Check what would be overwritten; return the sidecars to write, if any.

    Raises:
        ProtectedFileError: An output would replace an input, or what capgen did not write.
        UsageError: The sidecars' suffix or mode means nothing.
    """
    input_files = InputFiles(inputs.files())
    outputs = list(_outputs(results.output, look, results.changes_written_to))
    check_outputs(outputs, input_files)
    if results.sidecar is None:
        return None
    sidecars = Sidecars(results.sidecar, results.on_existing, inputs=input_files, options=metadata)
    sidecars.check(inputs.known_images(), [item.path for item in outputs])
    return sidecars


def _outputs(output: Path | None, look: Look, undo_file: Path | None) -> Iterator[Output]:
    """Yield the files that are to be written, and what each may replace."""
    from capgen.captioning.batch.journal import journal_path

    if output is not None:
        yield Output("-o", output, TEXT_OR_DATA)
        yield Output("the journal of -o,", journal_path(output), OWN_LINES)
    if look.explain is not None:
        page = look.explain.suffix.lower().startswith(".htm")
        yield Output("--explain", look.explain, WEB_PAGE if page else OWN_IMAGE)
    if look.save_input is not None:
        yield Output("--save-input", look.save_input, OWN_IMAGE)
    if undo_file is not None:
        yield Output("--undo-file", undo_file, OWN_LINES)


def _undo(console: Console, path: Path) -> int:
    from capgen.undo import undo

    failed = done = 0
    for undone in undo(path):
        if undone.problem:
            failed += 1
            console.error(f"{undone.path}: {undone.problem}")
        else:
            done += 1
    console.note(f"{done} changes taken back" + (f"; {failed} were not" if failed else ""))
    return int(failed > 0)


def _stdout_format(asked: str | None, as_json: bool) -> str:
    """Return the format to print in.

    Raises:
        UsageError: It is not one that is printed, or two were asked for.
    """
    if as_json and asked not in (None, "json"):
        raise UsageError(f"--json and --format {asked} exclude each other")
    chosen = "json" if as_json else asked or "text"
    if chosen not in PRINTED:
        raise UsageError(f"--format {chosen} needs a file: -o FILE")
    return chosen
