"""`capgen merge`: checks that all shares are there, and joins them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from capgen.addresses import is_stored
from capgen.cli.console import Console, counted, listed
from capgen.cli.help import examples
from capgen.cli.options import OUTPUT_PANEL, only, option, with_options
from capgen.cli.user_defaults import unused_notes
from capgen.config import CsvOptions, TagOptions
from capgen.errors import ProtectedFileError, UsageError
from capgen.output.files import Target, targets_of
from capgen.output.stored import LocalCopies, check_stored, publish
from capgen.overwriting import TEXT_OR_DATA, InputFiles, Output, check_outputs
from capgen.paths import check_place
from capgen.storage.drivers import same_object

if TYPE_CHECKING:
    from capgen.distributed.merge import CheckedParts

EXAMPLES = examples(
    "capgen merge captions/",
    "capgen merge captions/ -o captions.jsonl",
)


@dataclass(frozen=True, kw_only=True)
class Merged(CsvOptions, TagOptions):
    """Where the joined records are written."""

    PANEL: ClassVar[str] = OUTPUT_PANEL

    outputs: Annotated[
        tuple[str, ...],
        typer.Option(
            "--output",
            "-o",
            help="Write all records to this file, or address in a store: .jsonl, .json, .csv, "
            ".txt, .parquet; may be repeated.",
            metavar="FILE",
            rich_help_panel=OUTPUT_PANEL,
        ),
    ] = ()
    format: str | None = option(None, "Output format, if the suffix does not tell.")
    quiet: bool = option(False, "Hide notes.", flags="--quiet -q")


@with_options(section="merge", panels=(OUTPUT_PANEL,))
def merge_command(
    context: typer.Context,
    parts: Annotated[
        str,
        typer.Argument(
            metavar="FOLDER",
            help="The folder of parts that `capgen caption --shard` wrote: a path or an address.",
            show_default=False,
        ),
    ],
    *,
    merged: Annotated[
        Merged,
        only(
            *("outputs", "format", "tags", "min_tag_probability", "csv_bom", "csv_formulas"),
            "quiet",
        ),
    ],
) -> None:
    """Check that all shares are there and whole, and join them.

    Marks the folder as complete, and writes what one machine would have written. If something is
    missing, says which share to run again.
    """
    console = Console(quiet=merged.quiet)
    for note in unused_notes(context, "merge"):
        console.note(note)
    targets = targets_of(merged.outputs, merged.format)
    for target in targets:
        if target.kind.thumbnails or target.is_image_folder:
            raise UsageError(
                f"-o {target.name}: parts hold no images",
                hint="Merge to captions.jsonl, and give that to capgen convert.",
            )
        check_place(target.path)
    check_stored(targets)
    check_outputs([Output("-o", target.path, TEXT_OR_DATA) for target in targets], InputFiles())

    from capgen.distributed.merge import (
        check_content,
        check_parts,
        check_positions,
        check_unchanged,
    )
    from capgen.distributed.write_merged import write_merged

    checked = check_parts(parts)
    check_positions(checked)
    _check_outside(parts, targets)
    if not targets:
        check_content(checked)
    with LocalCopies(targets, fetch=False) as copies:
        for target in targets:
            write_merged(checked, target.path, target.format, merged, merged)
            publish(target)
        copies.close(complete=targets)
    check_unchanged(checked)
    checked.written.commit(checked.all_parts, checked.shares)
    if not checked.same_order:
        console.note("the machines had the images in different orders; they are in that of names")
    console.note(_summary(checked, [target.name for target in targets]))


def _check_outside(parts: str, targets: Sequence[Target]) -> None:
    """Check that no output is in the folder: who reads that would find all records twice."""
    for target in targets:
        if target.address is not None and is_stored(parts):
            inside = same_object(target.address).startswith(f"{same_object(parts).rstrip('/')}/")
        else:
            inside = target.address is None and not is_stored(parts) and _is_below(target, parts)
        if inside:
            raise ProtectedFileError(
                f"-o {target.name} is in the folder of the parts",
                hint="Write it beside the folder.",
            )


def _is_below(target: Target, parts: str) -> bool:
    return target.path.resolve().is_relative_to(Path(parts).resolve())


def _summary(checked: CheckedParts, files: list[str]) -> str:
    failures: Counter[str] = Counter()
    for part in checked.all_parts:
        failures.update(part.failures)
    parts, shares = len(checked.all_parts), len(checked.shares)
    text = f"{counted(checked.records, 'record')} in {counted(parts, 'part')}"
    if shares > 1:
        text += f" of {shares:,} shares"
    if failures:
        kinds = ", ".join(f"{count:,} {code}" for code, count in failures.most_common())
        text += f"; {failures.total():,} failed: {kinds}"
    return f"{text}; written to {listed(files)}" if files else f"{text}; nothing is missing"
