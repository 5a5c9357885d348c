"""What only `capgen caption` can be asked, by what it is about."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import typer

from capgen.cli.options import INPUT_PANEL, OUTPUT_PANEL, After, JsonOption
from capgen.config import setting

FAIL_ON = ("any", "all", "none")

ImagesArgument = Annotated[
    list[str] | None,
    typer.Argument(
        help="Images, folders, patterns, .tar archives or http(s) addresses; "
        "- reads an image or a list of names from stdin.",
        metavar="IMAGE",
        show_default=False,
    ),
]
ManifestOption = Annotated[
    Path | None,
    typer.Option(help="CSV or JSON Lines file that names images.", rich_help_panel=INPUT_PANEL),
    After("null_separated"),
]


@dataclass(frozen=True, kw_only=True)
class Look:
    """How to look into one image's caption."""

    PANEL: ClassVar[str] = "A closer look"

    explain: Path | None = setting(  # noqa: RUF009
        None,
        "Also write where the model looked for each word: .png, .jpg or .html. One image only.",
        remembered=False,
    )
    debug: bool = setting(
        False,
        "Show what lies behind the caption: tokens, runners-up, other decodings, features. "
        "One image only; with --json as JSON.",
        remembered=False,
    )
    save_input: Path | None = setting(  # noqa: RUF009
        None, "With --debug: save the image as the encoder saw it (PNG).", remembered=False
    )

    @property
    def asked(self) -> bool:
        """Whether one image is to be looked into."""
        return self.explain is not None or self.debug

    @property
    def flag(self) -> str:
        """The option that asked for it, for messages."""
        return "--debug" if self.explain is None else "--explain"


@dataclass(frozen=True, kw_only=True)
class Results:
    """Where captions go."""

    PANEL: ClassVar[str] = OUTPUT_PANEL

    scores: bool = setting(
        False,
        "Print each caption's confidence and score behind it; records have the confidence.",
        remembered=False,
    )
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Write records to this file instead of printing: "
            ".json, .jsonl, .csv, .txt, .parquet, .html.",
            readable=False,  # it is only replaced
            rich_help_panel=OUTPUT_PANEL,
        ),
    ] = None
    as_json: JsonOption = False
    format: str | None = setting(
        None,
        "Format of the output where its suffix does not say: "
        "json, jsonl, csv, text, parquet or html.",
        remembered=False,
    )
    sidecar: str | None = setting(
        None,
        "Write a file beside each image, with this suffix: .txt or another of text, or .xmp.",
        remembered=False,
    )
    on_existing: str = setting(
        "skip", "A sidecar that is there: skip, overwrite, append or prepend.", remembered=False
    )
    write_metadata: bool = setting(
        False,
        "Write captions into the images (JPEG, PNG, WebP, TIFF): EXIF, IPTC, XMP.",
        remembered=False,
    )
    dry_run: bool = setting(False, "With --write-metadata: change no image.", remembered=False)
    undo_file: Path = setting(  # noqa: RUF009
        Path("capgen-undo.jsonl"),
        "Where changes of images and sidecars are written down.",
        remembered=False,
    )
    undo: Path | None = setting(  # noqa: RUF009
        None, "Take back the changes in this undo file, and do nothing else.", remembered=False
    )
    quiet: bool = setting(
        False,
        "No progress, notes or messages about single images.",
        flags="--quiet -q",
        remembered=False,
    )

    @property
    def changes_written_to(self) -> Path | None:
        """The undo file, if captions are to be written into images or beside them."""
        return self.undo_file if self.write_metadata or self.sidecar is not None else None


ResumeOption = Annotated[
    bool,
    typer.Option(
        "--resume/--no-resume",
        help="Take over what an earlier run with this output has done.",
        rich_help_panel="Many images",
    ),
    After("workers"),
]
FailOnOption = Annotated[
    str,
    typer.Option(
        help="Which failures give exit code 1: any, all or none.", rich_help_panel="Many images"
    ),
    After("retry_failed"),
]
