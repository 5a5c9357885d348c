"""`capgen convert`: records in another form, without captioning again."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from capgen.addresses import is_stored
from capgen.cli.apply.command import files_to_keep, targets_to_write
from capgen.cli.apply.options import ApplyPlaces
from capgen.cli.console import Console
from capgen.cli.help import examples
from capgen.cli.options import INPUT_PANEL, OUTPUT_PANEL, only, with_options
from capgen.cli.user_defaults import unused_notes
from capgen.config import ImageLimits
from capgen.errors import UsageError
from capgen.output.stored import check_stored
from capgen.overwriting import TEXT_OR_DATA, InputFiles, Output, check_outputs
from capgen.storage.reading import as_local

if TYPE_CHECKING:
    from capgen.output.files import Target

EXAMPLES = examples(
    "capgen convert captions.jsonl -o captions.csv -o gallery.html -o captions.parquet",
    "capgen convert captions.jsonl --format imagefolder -o dataset/",
)


@with_options(section="convert", panels=(INPUT_PANEL, OUTPUT_PANEL))
def convert_command(
    context: typer.Context,
    records: Annotated[
        str,
        typer.Argument(
            metavar="RECORDS",
            help="What `capgen caption -o` wrote, its journal, a gallery or its export, or a CSV "
            "with columns of paths and captions.",
            show_default=False,
        ),
    ],
    *,
    places: Annotated[
        ApplyPlaces,
        only(
            *("outputs", "format", "tags", "min_tag_probability", "csv_bom", "csv_formulas"),
            "quiet",
        ),
    ],
    limits: ImageLimits,
) -> None:
    """Write records in other formats, without captioning again.

    Takes all records, failures and rejected captions included, with what people decided about
    them.

    `capgen apply` chooses among them, and also writes into images and sidecars.
    """
    console = Console(quiet=places.quiet)
    for note in unused_notes(context, "convert"):
        console.note(note)
    if not places.outputs:
        raise UsageError("Nothing was named to write to", hint="Try -o captions.csv.")
    targets = targets_to_write(places)
    check_stored(targets, [records] if is_stored(records) else ())
    with as_local(records) as file:
        code = _convert(console, file, places, targets, limits)
    if code:
        raise typer.Exit(code)


def _convert(
    console: Console,
    records: Path,
    places: ApplyPlaces,
    targets: tuple[Target, ...],
    limits: ImageLimits,
) -> int:
    from capgen.applying.choose import Chosen
    from capgen.applying.locate import Locator
    from capgen.cli.apply.run import ApplyJob, run_apply
    from capgen.reviews.reviewed_records import read_reviewed
    from capgen.undo_file import known_originals

    chosen = Chosen(read_reviewed(records), Counter())
    finder = Locator(records.parent, known_originals(places.undo_file))
    outputs = [Output("-o", target.path, TEXT_OR_DATA) for target in targets]
    check_outputs(outputs, InputFiles(files_to_keep(records, chosen.records, finder)))
    job = ApplyJob(
        chosen=chosen,
        locator=finder,
        places=places,
        beside=None,
        targets=targets,
        limits=limits,
    )
    return run_apply(console, job)
