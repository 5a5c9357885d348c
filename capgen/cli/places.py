"""The options of where captions are written, for `capgen caption` and `capgen apply`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import typer

from capgen.cli.options import OUTPUT_PANEL, After, JsonOption, option
from capgen.config import CsvOptions, MetadataOptions, TagOptions


@dataclass(frozen=True, kw_only=True)
class _Places:
    """The files, images and sidecars that captions are written to."""

    PANEL: ClassVar[str] = OUTPUT_PANEL

    outputs: Annotated[
        tuple[str, ...],
        typer.Option(
            "--output",
            "-o",
            help="Write records to this file, or address in a store, instead of printing: "
            ".json, .jsonl, .csv, .txt, .parquet, .html; may be repeated.",
            metavar="FILE",
            rich_help_panel=OUTPUT_PANEL,
        ),
    ] = ()
    as_json: JsonOption = False
    format: str | None = option(
        None,
        "Output format, if the suffix does not tell: json, jsonl, csv, text, parquet, html, or "
        "imagefolder for a folder that the datasets library loads.",
    )
    sidecar: str | None = option(
        None, "Write a file with this suffix beside each image: .xmp, or .txt or another of text."
    )
    on_existing: str = option(
        "skip",
        "What to do with a sidecar that exists: skip, update (replace it if capgen wrote it), "
        "overwrite, append or prepend.",
    )
    write_metadata: bool = option(
        False, "Write captions into the images (JPEG, PNG, WebP, TIFF): EXIF, IPTC, XMP."
    )
    undo_file: Path = option(  # noqa: RUF009
        Path("capgen-undo.jsonl"), "Where --write-metadata and --sidecar record their changes."
    )
    quiet: Annotated[bool, After("csv_formulas")] = option(
        False, "Hide progress, notes and messages about single images.", flags="--quiet -q"
    )


# Python puts the fields of the last class first, and help the places before how they are written.
@dataclass(frozen=True, kw_only=True)
class OutputOptions(CsvOptions, MetadataOptions, TagOptions, _Places):
    """Where captions are written, and how."""

    @property
    def changes_written_to(self) -> Path | None:
        return self.undo_file if self.write_metadata or self.sidecar is not None else None
