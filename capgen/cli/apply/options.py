"""The options that only `capgen apply` has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from capgen.cli.options import OUTPUT_PANEL, After
from capgen.cli.places import OutputOptions


@dataclass(frozen=True, kw_only=True)
class ApplyPlaces(OutputOptions):
    """Where captions are applied."""

    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Change nothing; print what would be written.",
            rich_help_panel=OUTPUT_PANEL,
        ),
        After("write_metadata"),
    ] = False
