"""`capgen demo`: captions the images that came with capgen, and opens the review page on them."""

from __future__ import annotations

import shlex
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from capgen.cli.console import Console
from capgen.cli.help import examples
from capgen.cli.options import OUTPUT_PANEL, JsonOption, with_options
from capgen.cli.user_defaults import unused_notes
from capgen.config import ImageLimits, InputOptions, ModelOptions, ReviewOptions
from capgen.errors import UsageError
from capgen.paths import bundled_images, check_place, storage_errors, writing

if TYPE_CHECKING:
    from capgen.records import Record

EXAMPLES = examples("capgen demo", "capgen demo --no-review", "capgen demo -o demo/ --no-open")
# What to try after it.
NEXT = (
    ("capgen caption photo.jpg", "one image"),
    ("capgen review holiday/ -r", "a folder, captioned and opened"),
    ("capgen alt fill content/ --dry-run", "alternative texts of a site"),
    ("capgen caption --help", "everything else"),
)
_RECORDS = "captions.jsonl"


@with_options(section="demo", panels=(OUTPUT_PANEL, ReviewOptions.PANEL))
def demo_command(
    context: typer.Context,
    *,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="A new folder for the images, their captions and your decisions. Default: a "
            "temporary one, which is removed at the end.",
            rich_help_panel=OUTPUT_PANEL,
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
    review: Annotated[
        bool,
        typer.Option(
            "--review/--no-review",
            help="Show the captions on the review page.",
            rich_help_panel=ReviewOptions.PANEL,
        ),
    ] = True,
    page: ReviewOptions,
) -> None:
    """Try capgen on six images that came with it.

    The bundled model captions them, and the page of `capgen review` shows them in the browser. It
    needs no image of yours, no network and no settings. Ctrl-C ends it.
    """
    from capgen.cli.caption.folder import caption_folder
    from capgen.cli.review import ReviewJob, review_records
    from capgen.reviews.reviewed_records import read_records

    console = Console()
    for note in unused_notes(context, "demo"):
        console.note(note)
    limits = ImageLimits()
    with _folder_of_images(output) as folder:
        records = folder / _RECORDS
        # Its notes are about files, which matter here only if they stay.
        quiet = Console(quiet=True)
        caption_folder(quiet, folder, records, ModelOptions(), InputOptions(), limits)
        _show(console, read_records(records), as_json=as_json)
        if review:
            if output is None:
                console.note("images and decisions are removed at the end; -o FOLDER keeps them")
            review_records(console, records, page, ReviewJob(limits=limits))
    if output is not None:
        again = f"capgen review {shlex.quote(str(records))}"
        console.note(f"images, captions and decisions are in {output}; {again} goes on")
    for command, about in NEXT:
        console.note(f"next: {command:<36}{about}")


@contextmanager
def _folder_of_images(output: Path | None) -> Iterator[Path]:
    """Give a folder with copies of the images: a temporary one, without `output`.

    Raises:
        UsageError: `output` has something in it.
        StorageError: There is no place for them.
    """
    if output is not None:
        _check_new(output)
        _copy_images(output)
        yield output
        return
    with storage_errors(Path("a temporary folder")):
        temporary = tempfile.TemporaryDirectory(prefix="capgen-demo-")
    with temporary as name:
        _copy_images(Path(name))
        yield Path(name)


def _check_new(folder: Path) -> None:
    """Refuse a folder that has something in it: whatever it is, it is no part of a demo."""
    records = folder / _RECORDS
    with storage_errors(folder):
        if folder.exists() and any(folder.iterdir()):
            hint = "Name a new folder"
            if records.exists():
                hint += (
                    f", or go on with an earlier demo: capgen review {shlex.quote(str(records))}"
                )
            raise UsageError(f"-o {folder} is not empty", hint=f"{hint}.")


def _copy_images(folder: Path) -> None:
    for image in bundled_images():
        target = folder / image.name
        check_place(target)
        with writing(target) as temporary:
            shutil.copyfile(image, temporary)


def _show(console: Console, records: Sequence[Record], *, as_json: bool) -> None:
    from capgen.cli.tables import add_row, plain_table
    from capgen.records import Caption

    if as_json:
        console.json([record.to_dict() for record in records])
        return
    table = plain_table("Image", "Caption", "Confidence")
    for record in records:
        if isinstance(record, Caption):
            sure = "-" if record.confidence is None else f"{record.confidence:.2f}"
            add_row(table, Path(record.path or "").name, record.text, sure)
    console.show(table)
    console.note("confidence is how likely a caption is good: look, some are wrong")
