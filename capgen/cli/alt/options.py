"""The options that only `capgen alt fill` has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from capgen.cli.options import OUTPUT_PANEL, option
from capgen.config import ReviewOptions
from capgen.config.alt_text import ALT_RECORDS


@dataclass(frozen=True, kw_only=True)
class FillPlaces(ReviewOptions):
    """Where captions are kept and reviewed, and what changes."""

    PANEL: ClassVar[str] = OUTPUT_PANEL

    output: Path = option(  # noqa: RUF009
        Path(ALT_RECORDS),
        "Where the captions are kept, for `capgen review` too: .jsonl or .json.",
        flags="--output -o",
    )
    dry_run: bool = option(False, "Change no page; print what would change, as a diff.")
    undo_file: Path = option(  # noqa: RUF009
        Path("capgen-undo.jsonl"), "Where changes of pages are recorded."
    )
    quiet: bool = option(
        False, "Hide progress, notes and messages about single images.", flags="--quiet -q"
    )
