"""The options that only `capgen caption` has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import typer

from capgen.addresses import is_stored
from capgen.cli.options import INPUT_PANEL, OUTPUT_PANEL, After, option
from capgen.cli.places import OutputOptions
from capgen.config import BatchOptions, EngineOptions, InputOptions, PartOptions
from capgen.errors import UsageError
from capgen.output.base import suffix_format

# Formats of parts.
PARTS_FORMATS = ("jsonl", "parquet")
FAIL_ON = ("any", "all", "none")


@dataclass(frozen=True, kw_only=True)
class Named(InputOptions):
    """The images to caption, and how names become images."""

    images: Annotated[
        list[str] | None,
        typer.Argument(
            help="Images, folders, patterns, .tar archives, .parquet files, also in stores "
            "(s3://bucket/photos/), or http(s) addresses; "
            "- reads an image or a list of names from stdin.",
            metavar="IMAGE",
            show_default=False,
        ),
    ] = None
    manifest: Annotated[
        str | None,
        typer.Option(
            help="CSV, JSON Lines or Parquet file that lists images, or its address in a store.",
            metavar="FILE",
            rich_help_panel=INPUT_PANEL,
        ),
        After("null_separated"),
    ] = None


@dataclass(frozen=True, kw_only=True)
class Run(BatchOptions, PartOptions, EngineOptions):
    """How many images are captioned in one run or on many machines, and when it failed."""

    resume: Annotated[
        bool,
        typer.Option(
            "--resume/--no-resume",
            help="Skip images that an earlier run with this output captioned.",
            rich_help_panel=BatchOptions.PANEL,
        ),
        After("workers"),
    ] = True
    fail_on: Annotated[
        str,
        typer.Option(
            help="Exit with code 1 when any, all or none of the images fail.",
            rich_help_panel=BatchOptions.PANEL,
        ),
        After("retry_failed"),
    ] = "any"

    def __post_init__(self) -> None:
        for settings in (BatchOptions, PartOptions, EngineOptions):
            settings.__post_init__(self)
        if self.fail_on not in FAIL_ON:
            raise UsageError(
                f"--fail-on is '{self.fail_on}'; it must be one of {', '.join(FAIL_ON)}"
            )

    @property
    def parts_flag(self) -> str:
        """The option that asked for parts, for messages."""
        if self.engine != "local":
            return f"--engine {self.engine}"
        if self.shard is not None:
            return "--shard"
        return "-o FOLDER" if self.part_size is None else "--part-size"


@dataclass(frozen=True, kw_only=True)
class Look:
    """How to look into the caption of one image."""

    PANEL: ClassVar[str] = "A closer look"

    explain: Path | None = option(  # noqa: RUF009
        None,
        "Also write where the model looked for each word: .png, .jpg or .html. One image only.",
    )
    debug: bool = option(
        False,
        "Show how the caption came about: tokens, runners-up, other decodings, features. "
        "One image only; with --json as JSON.",
    )
    save_input: Path | None = option(  # noqa: RUF009
        None, "With --debug: save the image as the encoder saw it (PNG)."
    )

    def __post_init__(self) -> None:
        if self.save_input is not None and not self.debug:
            raise UsageError("--save-input needs --debug")

    @property
    def asked(self) -> bool:
        return self.explain is not None or self.debug

    @property
    def flag(self) -> str:
        """The option that asked for it, for messages."""
        return "--debug" if self.explain is None else "--explain"


@dataclass(frozen=True, kw_only=True)
class Results(OutputOptions):
    """Where captions go."""

    PANEL: ClassVar[str] = OUTPUT_PANEL

    scores: Annotated[bool, After("format")] = option(
        False, "Print confidence and score after each caption, and add the confidence to records."
    )
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="With --write-metadata or --undo: change nothing. With --endpoint: say what "
            "would be sent, and send nothing.",
            rich_help_panel=OUTPUT_PANEL,
        ),
        After("write_metadata"),
    ] = False
    undo: Annotated[
        Path | None,
        typer.Option(
            help="Undo the changes recorded in this undo file, and do nothing else.",
            rich_help_panel=OUTPUT_PANEL,
        ),
        After("undo_file"),
    ] = None


def writes_parts(results: Results, run: Run) -> bool:
    """Whether the output is a folder of parts."""
    if run.parts_flag != "-o FOLDER":
        return True
    return any(
        suffix_format(Path(name)) is None
        and (
            (is_stored(name) and results.format in (None, *PARTS_FORMATS))
            or (name.endswith("/") and results.format in PARTS_FORMATS)
        )
        for name in results.outputs
    )
