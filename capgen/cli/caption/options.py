"""Options of `capgen caption` that no other command has."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from capgen.cli.options import (
    DECODING_PANEL,
    INPUT_PANEL,
    MODEL_PANEL,
    OUTPUT_PANEL,
    setting_option,
)
from capgen.config import BatchOptions, InputOptions

BATCH_PANEL = "Many images"
LOOK_PANEL = "A closer look"


def _input(name: str, *flags: str) -> Any:
    return setting_option(InputOptions, name, *flags, panel=INPUT_PANEL)


def _batch(name: str, panel: str = BATCH_PANEL) -> Any:
    return setting_option(BatchOptions, name, panel=panel)


def _option(help: str, *flags: str, panel: str) -> Any:
    return typer.Option(*flags, help=help, rich_help_panel=panel)


ImagesArgument = Annotated[
    list[str] | None,
    typer.Argument(
        help="Images, folders, patterns, .tar archives or http(s) addresses; "
        "- reads an image or a list of names from stdin.",
        metavar="IMAGE",
        show_default=False,
    ),
]
RecursiveOption = Annotated[bool, _input("recursive", "-r")]
IncludeOption = Annotated[list[str] | None, _input("include")]
ExcludeOption = Annotated[list[str] | None, _input("exclude")]
NullOption = Annotated[
    bool,
    _option("The list on stdin is separated by NUL bytes.", "--null", "-0", panel=INPUT_PANEL),
]
ManifestOption = Annotated[
    Path | None,
    _option("CSV or JSON Lines file that names images.", "--manifest", panel=INPUT_PANEL),
]
PathColumnOption = Annotated[str | None, _input("path_column")]
PrivateOption = Annotated[
    bool,
    _option(
        "Fetch from private and loopback addresses too.",
        "--allow-private-addresses",
        panel=INPUT_PANEL,
    ),
]
BatchSizeOption = Annotated[int, _batch("batch_size", MODEL_PANEL)]
WorkersOption = Annotated[int | None, _batch("workers")]
RetryOption = Annotated[bool, _batch("retry_failed")]
FailFastOption = Annotated[bool, _batch("fail_fast")]
FailOnOption = Annotated[
    str,
    _option("Which failures give exit code 1: any, all or none.", "--fail-on", panel=BATCH_PANEL),
]
ResumeOption = Annotated[
    bool,
    _option(
        "Take over what an earlier run with this output has done.",
        "--resume/--no-resume",
        panel=BATCH_PANEL,
    ),
]
QuietOption = Annotated[
    bool,
    _option(
        "No progress, notes or messages about single images.",
        "--quiet",
        "-q",
        panel=OUTPUT_PANEL,
    ),
]
ScoresOption = Annotated[
    bool,
    _option(
        "Print each caption's confidence and score behind it; records have the confidence.",
        "--scores",
        panel=OUTPUT_PANEL,
    ),
]
FormatOption = Annotated[
    str | None,
    typer.Option(
        help="Format of the output where its suffix does not say: "
        "json, jsonl, csv, text, parquet or html.",
        rich_help_panel=OUTPUT_PANEL,
        show_default=False,
    ),
]
SidecarOption = Annotated[
    str | None,
    _option(
        "Write a text file beside each image, with this suffix, as in .txt.",
        "--sidecar",
        panel=OUTPUT_PANEL,
    ),
]
OnExistingOption = Annotated[
    str,
    _option(
        "A sidecar that is there: skip, overwrite, append or prepend.",
        "--on-existing",
        panel=OUTPUT_PANEL,
    ),
]
WriteMetadataOption = Annotated[
    bool,
    _option(
        "Write captions into the images (JPEG, PNG, WebP): EXIF, IPTC, XMP.",
        "--write-metadata",
        panel=OUTPUT_PANEL,
    ),
]
DryRunOption = Annotated[
    bool,
    _option("With --write-metadata: change no image.", "--dry-run", panel=OUTPUT_PANEL),
]
UndoFileOption = Annotated[
    Path,
    _option("Where changes of images are written down.", "--undo-file", panel=OUTPUT_PANEL),
]
UndoOption = Annotated[
    Path | None,
    _option(
        "Take back the changes in this undo file, and do nothing else.",
        "--undo",
        panel=OUTPUT_PANEL,
    ),
]
ExplainOption = Annotated[
    Path | None,
    _option(
        "Also write where the model looked for each word: .png, .jpg or .html. One image only.",
        "--explain",
        panel=LOOK_PANEL,
    ),
]
DebugOption = Annotated[
    bool,
    _option(
        "Show what lies behind the caption: tokens, runners-up, other decodings, features. "
        "One image only; with --json as JSON.",
        "--debug",
        panel=LOOK_PANEL,
    ),
]
SaveInputOption = Annotated[
    Path | None,
    _option(
        "With --debug: save the image as the encoder saw it (PNG).",
        "--save-input",
        panel=LOOK_PANEL,
    ),
]
RetryCaptionOption = Annotated[
    bool,
    typer.Option(
        "--retry/--no-retry",
        help="Caption again what came out empty or repeats itself.",
        rich_help_panel=DECODING_PANEL,
    ),
]
