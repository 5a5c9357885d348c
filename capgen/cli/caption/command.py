"""`capgen caption`: parses, calls the captioner, prints."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from capgen.addresses import is_stored, is_url, without_credentials
from capgen.cli.caption.one import caption_one, choose_way, look_into
from capgen.cli.caption.options import Look, Named, Results, Run, writes_parts
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
from capgen.cli.sending import confirm_sending
from capgen.cli.undo import undo_changes
from capgen.cli.user_defaults import unused_notes
from capgen.config import (
    BatchOptions,
    DecodeOptions,
    EndpointOptions,
    EngineOptions,
    ImageLimits,
    MetadataOptions,
    ModelOptions,
    PromptOptions,
    WordOptions,
)
from capgen.errors import UsageError
from capgen.output.files import Target, targets_of
from capgen.output.stored import check_stored
from capgen.overwriting import (
    OWN_IMAGE,
    OWN_JOURNAL,
    OWN_UNDO,
    TEXT_OR_DATA,
    WEB_PAGE,
    InputFiles,
    Output,
    check_outputs,
)
from capgen.paths import check_place

if TYPE_CHECKING:
    from capgen.captioning.batch.inputs import Inputs
    from capgen.output.sidecars import Sidecars

# Formats that are printed; the others need a file.
PRINTED = ("text", "json", "jsonl")

EXAMPLES = examples(
    "capgen caption photo.jpg",
    "capgen caption photo.jpg --beams 5 --num-captions 3",
    "capgen caption photo.jpg --diverse 5",
    "capgen caption photo.jpg --explain looked.html",
    "capgen caption photo.jpg --temperature 0.8 --top-p 0.9 --seed 1",
    "capgen caption photo.jpg --model blip-base --prompt 'a photo of'",
    "capgen caption photo.jpg --include-words 'dog,grass|lawn' --avoid-words photo",
    "capgen caption holiday/ -r -o captions.jsonl",
    "capgen caption holiday/ -o captions.jsonl -o captions.csv -o gallery.html",
    "capgen caption holiday/ --format imagefolder -o dataset/",
    "capgen caption holiday/ -r --write-metadata --tags",
    "find . -name '*.png' -print0 | capgen caption - -0 --sidecar .txt",
    "capgen caption photos/ -o captions/ --shard 3/16",
    "capgen caption s3://bucket/photos/ -o s3://bucket/captions/ --engine ray",
    "capgen caption *.jpg --model USER/NAME --device cuda",
)


@with_options(
    section="caption",
    panels=(
        *(INPUT_PANEL, OUTPUT_PANEL, MetadataOptions.PANEL, MODEL_PANEL, PromptOptions.PANEL),
        *(EndpointOptions.PANEL, DECODING_PANEL, WordOptions.PANEL, BatchOptions.PANEL),
        *(EngineOptions.PANEL, Look.PANEL),
    ),
)
def caption_command(
    context: typer.Context,
    model: ModelOptions,
    decoding: Annotated[DecodeOptions, without("confidence")],
    look: Look,
    results: Results,
    named: Named,
    limits: ImageLimits,
    run: Run,
) -> None:
    """Describe images.

    Prints the caption of one image, or one line per image with its path, a tab and the caption.

    Decoding options that you leave out have the model's own defaults.
    """
    console = Console(quiet=results.quiet)
    for note in unused_notes(context, "caption"):
        console.note(note)
    if results.undo is not None:
        raise typer.Exit(undo_changes(console, results.undo, dry_run=results.dry_run))
    if not named.images and named.manifest is None:
        raise UsageError("No images were named", hint="Try: capgen caption photo.jpg")
    if results.dry_run and not (results.write_metadata or model.served):
        raise UsageError("--dry-run needs --write-metadata or --endpoint")
    if writes_parts(results, run):
        code = _caption_parts(console, model, decoding, look, results, named, limits, run)
        if code:
            raise typer.Exit(code)
        return
    targets = targets_of(results.outputs, results.format)
    for target in targets:
        check_place(target.path)
    chosen = "" if targets else _stdout_format(results.format, results.as_json)

    from capgen.captioning.batch.inputs import Inputs
    from capgen.cli.caption.loading import check_tags, load_captioner

    stdin = sys.stdin.buffer if sys.stdin is not None else None
    inputs = Inputs(named.images or [], named, manifest=named.manifest, stdin=stdin, limits=limits)
    sidecars = _sidecars(inputs, results, look, targets)
    _note_passed_over(console, inputs)
    decoding = replace(decoding, confidence=results.scores)
    check_tags(model, results)
    load = partial(load_captioner, model, results)
    writes = bool(targets) or results.sidecar is not None or results.write_metadata
    way = choose_way(look, inputs.alone, writes=writes, format=chosen)
    counts = results.dry_run and model.served
    if not counts:
        confirm_sending(model)
    if way.kind == "many" or counts:
        from capgen.captioning.runtimes.cores import lanes_and_threads
        from capgen.cli.caption.many import BatchJob, run_batch

        job = BatchJob(
            inputs=inputs,
            decoding=decoding,
            run=run,
            limits=limits,
            results=results,
            targets=targets,
            format=chosen,
            sidecars=sidecars,
            alone=_shown(named.images[0]) if named.images and len(named.images) == 1 else None,
        )
        if counts:
            from capgen.cli.caption.dry_run import count_images

            code = count_images(console, model, job)
        else:
            lanes, threads = lanes_and_threads(inputs.total, run.batch_size)
            code = run_batch(console, partial(load, threads=threads), job, lanes)
    elif way.kind == "look":
        look_into(console, load, way.image, decoding, limits, look, results)
        code = 0
    else:
        failed = caption_one(console, load(), way.image, decoding, limits, results)
        code = int(failed and run.fail_on != "none")
    if code:
        raise typer.Exit(code)


def _caption_parts(
    console: Console,
    model: ModelOptions,
    decoding: DecodeOptions,
    look: Look,
    results: Results,
    named: Named,
    limits: ImageLimits,
    run: Run,
) -> int:
    from capgen.captioning.runtimes.cores import lanes_and_threads
    from capgen.cli.caption.loading import check_tags, load_captioner
    from capgen.cli.caption.parts import PartsJob, check_parts_job, run_on_ray, run_parts

    job = PartsJob(
        decoding=decoding, look=look, results=results, named=named, limits=limits, run=run
    )
    check_parts_job(job)
    check_tags(model, results)
    confirm_sending(model)
    if run.engine == "ray":
        return run_on_ray(console, model, job)
    lanes, threads = lanes_and_threads(None, run.batch_size)
    load = partial(load_captioner, model, results, threads=threads)
    return run_parts(console, load, job, lanes)


def _shown(name: str) -> str:
    """Return the name of an image as records have it."""
    return without_credentials(name) if is_url(name) or is_stored(name) else name


def _note_passed_over(console: Console, inputs: Inputs) -> None:
    counts = inputs.passed_over()
    if counts:
        kinds = ", ".join(f"{kind} ({count:,})" for kind, count in sorted(counts.items()))
        hint = "; -r includes subfolders" if counts["subfolders"] else ""
        console.note(f"skipped in folders: {kinds}{hint}")


def _sidecars(
    inputs: Inputs, results: Results, look: Look, targets: tuple[Target, ...]
) -> Sidecars | None:
    """Check what would be overwritten; return the sidecars to write, if any."""
    input_files = InputFiles(inputs.files())
    _refuse_beside(inputs, results)
    check_stored(targets, inputs.stored())
    outputs = list(_outputs(results, look, targets))
    check_outputs(outputs, input_files)
    if results.sidecar is None:
        return None
    from capgen.output.sidecars import Sidecars

    sidecars = Sidecars(results.sidecar, results.on_existing, inputs=input_files, options=results)
    sidecars.check(inputs.known_images(), [item.path for item in outputs])
    return sidecars


def _refuse_beside(inputs: Inputs, results: Results) -> None:
    """Refuse to write into images in stores, or beside them."""
    option = "--sidecar" if results.sidecar is not None else "--write-metadata"
    stored = next(iter(inputs.stored()), None)
    if results.changes_written_to is not None and stored is not None:
        raise UsageError(
            f"{option} is for images on this machine, and {stored} is not",
            hint="Write captions to a file or an address with -o.",
        )


def _outputs(results: Results, look: Look, targets: tuple[Target, ...]) -> Iterator[Output]:
    from capgen.captioning.batch.journal import journal_path

    for target in targets:
        yield Output("-o", target.path, TEXT_OR_DATA)
        yield Output("the journal of -o,", journal_path(target.path), OWN_JOURNAL)
    if look.explain is not None:
        page = look.explain.suffix.lower().startswith(".htm")
        yield Output("--explain", look.explain, WEB_PAGE if page else OWN_IMAGE)
    if look.save_input is not None:
        yield Output("--save-input", look.save_input, OWN_IMAGE)
    if results.changes_written_to is not None:
        yield Output("--undo-file", results.changes_written_to, OWN_UNDO)


def _stdout_format(asked: str | None, as_json: bool) -> str:
    if as_json and asked not in (None, "json"):
        raise UsageError(f"--json and --format {asked} cannot be used together")
    chosen = "json" if as_json else asked or "text"
    if chosen not in PRINTED:
        raise UsageError(f"--format {chosen} needs an output file: -o FILE")
    return chosen
