"""`capgen apply`: parses, writes reviewed captions, says what was written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from capgen.addresses import is_stored
from capgen.cli.apply.options import ApplyPlaces
from capgen.cli.console import Console
from capgen.cli.help import examples
from capgen.cli.options import INPUT_PANEL, OUTPUT_PANEL, with_options
from capgen.cli.user_defaults import unused_notes
from capgen.config import ApplyOptions, ImageLimits, MetadataOptions
from capgen.errors import UsageError
from capgen.output.stored import check_stored
from capgen.overwriting import OWN_UNDO, TEXT_OR_DATA, InputFiles, Output, check_outputs
from capgen.paths import check_place
from capgen.storage.reading import as_local

if TYPE_CHECKING:
    from capgen.applying.locate import Locator
    from capgen.output.files import Target
    from capgen.output.sidecars import Sidecars
    from capgen.records import Record

EXAMPLES = examples(
    "capgen apply captions.jsonl --write-metadata",
    "capgen apply captions.jsonl --sidecar .xmp --dry-run",
    "capgen apply captions.jsonl --only accepted -o captions.csv",
    "capgen apply captions.jsonl --min-confidence 0.6 --write-metadata --tags",
    "capgen apply captions-edited.jsonl -o gallery.html",
    "capgen apply captions.csv --format imagefolder -o dataset/",
)


@with_options(
    section="apply", panels=(INPUT_PANEL, ApplyOptions.PANEL, OUTPUT_PANEL, MetadataOptions.PANEL)
)
def apply_command(
    context: typer.Context,
    records: Annotated[
        str,
        typer.Argument(
            metavar="RECORDS",
            help="What `capgen caption -o` wrote, a gallery or its export, or a CSV with columns "
            "of paths and captions.",
            show_default=False,
        ),
    ],
    *,
    which: ApplyOptions,
    places: ApplyPlaces,
    limits: ImageLimits,
) -> None:
    """Write reviewed captions into images, sidecars and files.

    Takes what people decided about the captions, in `capgen review` or elsewhere, and writes all
    captions but rejected ones.

    Paths in the records start in the present folder, or else in that of the records.
    """
    console = Console(quiet=places.quiet)
    for note in unused_notes(context, "apply"):
        console.note(note)
    if not (places.outputs or places.changes_written_to or places.as_json):
        raise UsageError(
            "Nothing was named to write to",
            hint="Try --write-metadata, --sidecar .xmp or -o FILE.",
        )
    targets = targets_to_write(places)
    check_stored(targets, [records] if is_stored(records) else ())
    with as_local(records) as file:
        code = _apply(console, file, which, places, targets, limits)
    if code:
        raise typer.Exit(code)


def _apply(
    console: Console,
    records: Path,
    which: ApplyOptions,
    places: ApplyPlaces,
    targets: tuple[Target, ...],
    limits: ImageLimits,
) -> int:
    from capgen.applying.choose import choose
    from capgen.applying.locate import Locator
    from capgen.cli.apply.run import ApplyJob, run_apply
    from capgen.cli.beside import open_beside
    from capgen.reviews.records_files import PAGES
    from capgen.reviews.reviewed_records import read_reviewed
    from capgen.undo_file import known_originals

    chosen = choose(read_reviewed(records), which)
    if records.suffix.lower() in PAGES:
        console.note("decisions in a gallery are in its export (captions-edited.jsonl), not in it")
    finder = Locator(records.parent, known_originals(places.undo_file))
    inputs = InputFiles(files_to_keep(records, chosen.records, finder))
    outputs = list(_outputs(targets, places))
    check_outputs(outputs, inputs)
    sidecars = _sidecars(places, chosen.records, finder, inputs, outputs)
    beside = None
    if places.changes_written_to is not None:
        beside = open_beside(places, sidecars, limits, dry_run=places.dry_run)
        if beside.undo is not None:
            finder = Locator(records.parent, beside.undo.originals)
    job = ApplyJob(
        chosen=chosen,
        locator=finder,
        places=places,
        beside=beside,
        targets=targets,
        limits=limits,
    )
    return run_apply(console, job)


def targets_to_write(places: ApplyPlaces) -> tuple[Target, ...]:
    """Return the files to write."""
    from capgen.output.files import targets_of

    if places.format is not None and not places.outputs:
        raise UsageError(f"--format {places.format} needs an output: -o FILE")
    targets = targets_of(places.outputs, places.format)
    for target in targets:
        check_place(target.path)
    return targets


def files_to_keep(records: Path, chosen: list[Record], locator: Locator) -> Iterator[Path]:
    """Yield the files that must not be replaced."""
    from capgen.reviews.journal import reviews_path

    yield records
    yield reviews_path(records)
    for record in chosen:
        file = locator.file(record)
        if file is not None:
            yield file


def _outputs(targets: tuple[Target, ...], places: ApplyPlaces) -> Iterator[Output]:
    for target in targets:
        yield Output("-o", target.path, TEXT_OR_DATA)
    if places.changes_written_to is not None:
        yield Output("--undo-file", places.changes_written_to, OWN_UNDO)


def _sidecars(
    places: ApplyPlaces,
    chosen: list[Record],
    locator: Locator,
    inputs: InputFiles,
    outputs: list[Output],
) -> Sidecars | None:
    if places.sidecar is None:
        return None
    from capgen.output.sidecars import Sidecars

    sidecars = Sidecars(
        places.sidecar,
        places.on_existing,
        inputs=inputs,
        options=places,
        replace_own=True,
        dry_run=places.dry_run,
    )
    files = (locator.file(record) for record in chosen)
    sidecars.check(
        (file for file in files if file is not None), [output.path for output in outputs]
    )
    return sidecars
