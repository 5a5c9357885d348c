"""The options that only `capgen apply` has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from capgen.cli.options import OUTPUT_PANEL, After
from capgen.cli.places import OutputOptions

IMAGE_FOLDER = "imagefolder"


@dataclass(frozen=True, kw_only=True)
class ApplyPlaces(OutputOptions):
    """Where captions are applied."""

    format: Annotated[
        str | None,
        typer.Option(
            help="Output format, if the suffix does not tell: json, jsonl, csv, text, parquet, "
            "html, or imagefolder for a folder that the datasets library loads.",
            rich_help_panel=OUTPUT_PANEL,
        ),
    ] = None
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Change nothing, and say what would be done.",
            rich_help_panel=OUTPUT_PANEL,
        ),
        After("write_metadata"),
    ] = False
