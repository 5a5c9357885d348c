"""`capgen caption`: parses, calls the captioner, prints."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from capgen.cli.caption.one import Look, caption_one, choose_way, look_into
from capgen.cli.caption.options import (
    BatchSizeOption,
    DebugOption,
    DryRunOption,
    ExcludeOption,
    ExplainOption,
    FailFastOption,
    FailOnOption,
    FormatOption,
    ImagesArgument,
    IncludeOption,
    ManifestOption,
    NullOption,
    OnExistingOption,
    PathColumnOption,
    PrivateOption,
    QuietOption,
    RecursiveOption,
    ResumeOption,
    RetryCaptionOption,
    RetryOption,
    SaveInputOption,
    ScoresOption,
    SidecarOption,
    UndoFileOption,
    UndoOption,
    WorkersOption,
    WriteMetadataOption,
)
from capgen.cli.console import Console
from capgen.cli.decoding_options import (
    BeamsOption,
    DiverseOption,
    LengthPenaltyOption,
    MaxLengthOption,
    MinConfidenceOption,
    MinLengthOption,
    NoRepeatOption,
    NumCaptionsOption,
    RepeatNounsOption,
    RepetitionPenaltyOption,
    SeedOption,
    TemperatureOption,
    TopKOption,
    TopPOption,
)
from capgen.cli.help import examples
from capgen.cli.options import (
    INPUT_PANEL,
    DeviceOption,
    DtypeOption,
    JsonOption,
    ModelOption,
    OutputOption,
    RevisionOption,
    RuntimeOption,
    TrustOption,
    setting_option,
    settings_from,
)
from capgen.config import BatchOptions, DecodeOptions, ImageLimits, InputOptions
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

FAIL_ON = ("any", "all", "none")
UNDO_FILE = Path("capgen-undo.jsonl")
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


def caption_command(
    images: ImagesArgument = None,
    model: ModelOption = None,
    revision: RevisionOption = None,
    trust_remote_code: TrustOption = False,
    runtime: RuntimeOption = "auto",
    device: DeviceOption = "auto",
    dtype: DtypeOption = "auto",
    beams: BeamsOption = None,
    temperature: TemperatureOption = None,
    top_k: TopKOption = None,
    top_p: TopPOption = None,
    max_length: MaxLengthOption = None,
    min_length: MinLengthOption = None,
    length_penalty: LengthPenaltyOption = None,
    repetition_penalty: RepetitionPenaltyOption = None,
    no_repeat_ngram_size: NoRepeatOption = None,
    repeat_nouns: RepeatNounsOption = DecodeOptions.repeat_nouns,
    num_captions: NumCaptionsOption = None,
    seed: SeedOption = None,
    diverse: DiverseOption = None,
    retry: RetryCaptionOption = DecodeOptions.retry,
    explain: ExplainOption = None,
    debug: DebugOption = False,
    save_input: SaveInputOption = None,
    min_confidence: MinConfidenceOption = None,
    scores: ScoresOption = False,
    output: OutputOption = None,
    as_json: JsonOption = False,
    format: FormatOption = None,
    sidecar: SidecarOption = None,
    on_existing: OnExistingOption = "skip",
    write_metadata: WriteMetadataOption = False,
    dry_run: DryRunOption = False,
    undo_file: UndoFileOption = UNDO_FILE,
    undo: UndoOption = None,
    quiet: QuietOption = False,
    recursive: RecursiveOption = InputOptions.recursive,
    include: IncludeOption = None,
    exclude: ExcludeOption = None,
    null: NullOption = InputOptions.null_separated,
    manifest: ManifestOption = None,
    path_column: PathColumnOption = None,
    allow_private_addresses: PrivateOption = InputOptions.allow_private,
    max_pixels: Annotated[
        int, setting_option(ImageLimits, "max_pixels", panel=INPUT_PANEL)
    ] = ImageLimits.max_pixels,
    max_bytes: Annotated[
        int, setting_option(ImageLimits, "max_bytes", panel=INPUT_PANEL)
    ] = ImageLimits.max_bytes,
    batch_size: BatchSizeOption = BatchOptions.batch_size,
    workers: WorkersOption = None,
    resume: ResumeOption = True,
    retry_failed: RetryOption = BatchOptions.retry_failed,
    fail_on: FailOnOption = "any",
    fail_fast: FailFastOption = BatchOptions.fail_fast,
) -> None:
    """Say what is in images.

    One image prints its caption; several print their path, a tab and the caption.

    Where no option is given, the model's own defaults apply.
    """
    options = settings_from(DecodeOptions, {**locals(), "confidence": scores})
    limits = settings_from(ImageLimits, locals())
    batch = settings_from(BatchOptions, locals())
    console = Console(quiet=quiet)
    if undo is not None:
        raise typer.Exit(_undo(console, undo))
    if fail_on not in FAIL_ON:
        raise UsageError(f"--fail-on is '{fail_on}'; it must be one of {', '.join(FAIL_ON)}")
    if not images and manifest is None:
        raise UsageError("No images were named", hint="Try: capgen caption photo.jpg")
    if dry_run and not write_metadata:
        raise UsageError("--dry-run goes with --write-metadata")
    if save_input is not None and not debug:
        raise UsageError("--save-input goes with --debug")
    if output is not None:
        check_place(output)
        chosen = format_of(output, format)
    else:
        chosen = _stdout_format(format, as_json)

    from capgen.captioning.batch.inputs import Inputs
    from capgen.captioning.captioner import Captioner

    inputs = Inputs(
        images or [],
        InputOptions(
            recursive=recursive,
            include=tuple(include or ()),
            exclude=tuple(exclude or ()),
            null_separated=null,
            path_column=path_column,
            allow_private=allow_private_addresses,
        ),
        manifest=manifest,
        stdin=sys.stdin.buffer if sys.stdin is not None else None,
        limits=limits,
    )
    look = Look(explain=explain, debug=debug, save_input=save_input, as_json=as_json)
    input_files = InputFiles(inputs.files())
    outputs = list(_outputs(output, look, undo_file if write_metadata else None))
    check_outputs(outputs, input_files)
    sidecars = None
    if sidecar is not None:
        sidecars = Sidecars(sidecar, on_existing, inputs=input_files)
        sidecars.check(inputs.known_images(), [item.path for item in outputs])
    load = partial(
        Captioner.from_pretrained,
        model,
        revision=revision,
        trust_remote_code=trust_remote_code,
        runtime=runtime,
        device=device,
        dtype=dtype,
    )
    writes = output is not None or sidecars is not None or write_metadata
    way = choose_way(look, inputs.alone, writes=writes, format=chosen)
    if way.kind == "look":
        look_into(console, load, way.image, options, limits, look)
        code = 0
    elif way.kind == "one":
        failed = caption_one(console, load(), way.image, options, limits)
        code = int(failed and fail_on != "none")
    else:
        from capgen.cli.caption.many import BatchJob, lanes_and_threads, run_batch

        job = BatchJob(
            inputs=inputs,
            decoding=options,
            batch=batch,
            limits=limits,
            output=output,
            format=chosen,
            resume=resume,
            sidecars=sidecars,
            undo_file=undo_file if write_metadata else None,
            dry_run=dry_run,
            alone=images[0] if images is not None and len(images) == 1 else None,
            scores=scores,
        )
        lanes, threads = lanes_and_threads(inputs.total, batch_size)
        captioner = load(threads=threads)
        code = run_batch(console, captioner, job, lanes, fail_on)
    if code:
        raise typer.Exit(code)


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
    from capgen.images.metadata.undo import undo

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
