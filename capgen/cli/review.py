"""`capgen review`: captions a folder if asked, runs the page's server, tells what is left."""

from __future__ import annotations

import getpass
import os
import shlex
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated

import typer

from capgen.cli.console import Console
from capgen.cli.help import examples
from capgen.cli.options import (
    INPUT_PANEL,
    MODEL_PANEL,
    OUTPUT_PANEL,
    only,
    with_options,
)
from capgen.cli.sending import confirm_sending
from capgen.cli.user_defaults import unused_notes
from capgen.config import (
    EndpointOptions,
    ImageLimits,
    InputOptions,
    ModelOptions,
    PromptOptions,
    ReviewOptions,
)
from capgen.config.alt_text import ALT_RECORDS
from capgen.errors import UsageError
from capgen.paths import is_folder

if TYPE_CHECKING:
    from capgen.review_page.app import Reviewing
    from capgen.review_page.items import Items
    from capgen.review_page.session import ReviewSession

EXAMPLES = examples(
    "capgen review captions.jsonl",
    "capgen review holiday/ -r",
    "capgen review gallery.html --by ann",
    "capgen review captions.csv --no-open --port 8100",
)
_MOST_NAMED = 3


@with_options(
    section="review",
    panels=(
        *(ReviewOptions.PANEL, INPUT_PANEL, OUTPUT_PANEL),
        *(MODEL_PANEL, PromptOptions.PANEL, EndpointOptions.PANEL),
    ),
)
def review_command(
    context: typer.Context,
    *,
    captions: Annotated[
        Path,
        typer.Argument(
            help="Records (.json, .jsonl), a gallery (.html) or a table (.csv) of captions, or a "
            "folder of images, which is captioned first.",
            metavar="RECORDS|FOLDER|GALLERY",
            show_default=False,
        ),
    ],
    page: ReviewOptions,
    inputs: Annotated[InputOptions, only("recursive")],
    limits: ImageLimits,
    model: ModelOptions,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Where the captions of a folder go: .jsonl or .json. "
            "Default: FOLDER-captions.jsonl in the present folder.",
            rich_help_panel=OUTPUT_PANEL,
            show_default=False,
        ),
    ] = None,
) -> None:
    """Review captions in the browser: accept, edit or reject them.

    The page comes from a server on this machine that nobody else can reach. Each decision is on
    the disk, in RECORDS.reviews, before the page shows it as saved; the captions' file itself is
    not changed. Ctrl-C ends the review; the same command goes on with it.
    """
    from capgen.cli.caption.folder import caption_folder
    from capgen.review_page.items import read_items

    console = Console()
    for note in unused_notes(context, "review"):
        console.note(note)
    folder = captions if is_folder(captions) else None
    if folder is None and output is not None:
        raise UsageError("-o is for the captions of a folder", hint="Leave it out.")
    records = captions if folder is None else output or default_output(folder)
    chosen = model if folder is not None or _is_named(context, "model", "endpoint") else None
    if chosen is not None:
        confirm_sending(chosen)
    items = None if folder is not None else read_items(records)

    def caption() -> None:
        if folder is not None:
            caption_folder(console, folder, records, model, inputs, limits)

    session = review_records(
        console, records, page, ReviewJob(limits=limits, model=chosen, items=items, before=caption)
    )
    tell_next(console, session, records)


@dataclass(frozen=True, kw_only=True)
class ReviewJob:
    """What a review needs besides the records.

    Attributes:
        limits: The largest image to show.
        model: What shows where the model looked, and other captions; None loads the one that
            records name.
        items: The records, if they are read already.
        before: Called once nobody else can review these records.
    """

    limits: ImageLimits
    model: ModelOptions | None = None
    items: Items | None = None
    before: Callable[[], None] = lambda: None


def review_records(
    console: Console, records: Path, page: ReviewOptions, job: ReviewJob
) -> ReviewSession:
    """Review records in the browser until the user ends it, and tell what was decided."""
    from capgen.review_page.app import Reviewing
    from capgen.review_page.items import read_items
    from capgen.review_page.model import ReviewModel
    from capgen.review_page.session import ReviewSession
    from capgen.reviews.journal import ReviewJournal, reviews_path
    from capgen.reviews.places import ImagePlaces

    with closing(ReviewJournal(reviews_path(records))) as journal:
        job.before()
        items = job.items or read_items(records)
        places = ImagePlaces([Path.cwd(), records.parent])
        missing = places.missing(item.key.path for item in items.by_id.values())
        gone = [number for number, lost in zip(items.by_id, missing, strict=True) if lost]
        session = ReviewSession(items, journal, reviewer(page.by), gone)
        _tell_problems(console, session, gone)
        review = Reviewing(
            session=session,
            places=places,
            limits=job.limits,
            model=ReviewModel(job.model, job.limits),
            records=records,
        )
        _serve(console, review, page)
        _tell_result(console, session)
    return session


def default_output(folder: Path) -> Path:
    """Return where the captions of a folder go: a file in the present folder."""
    name = folder.name if folder.name not in ("", "..") else folder.resolve().name
    return Path(f"{name}-captions.jsonl" if name else "captions.jsonl")


def reviewer(name: str | None) -> str:
    """Return the name to save with decisions."""
    if name is not None:
        return name
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a user without a name, as in some containers
        return ""


def _is_named(context: typer.Context, *options: str) -> bool:
    """Whether one of these options was given on the command line.

    A model in the user's settings is for captioning; records say themselves which model they are
    of.
    """
    sources = (context.get_parameter_source(name) for name in options)
    return any(source is not None and source.name == "COMMANDLINE" for source in sources)


def _serve(console: Console, review: Reviewing, page: ReviewOptions) -> None:
    """Run the server until the review is ended."""
    from capgen.review_page.app import make_app
    from capgen.review_page.file_key import ports
    from capgen.review_page.security import Access
    from capgen.review_page.serve import HOST, Server, listen
    from capgen.review_page.windows import Windows

    listening = listen(page.port, ports(review.records))
    port = listening.getsockname()[1]
    access, windows = Access(), Windows()
    server = Server(make_app(review, access, windows, port), windows, listening)
    address = f"http://{HOST}:{port}/?token="
    server.start()
    try:
        console.note(f"the review is at {address}{access.token}")
        console.note("every decision is saved at once; Ctrl-C ends the review")
        if page.open and not _opened(address + access.once()):
            console.note("no browser could be opened: open the address yourself")
        server.wait()
    except (KeyboardInterrupt, SystemExit):
        pass  # that is how a review ends
    finally:
        server.stop()


def _opened(address: str) -> bool:
    """Open an address in a browser with windows; one in the terminal would take the terminal."""
    import webbrowser

    displays = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    if sys.platform not in ("win32", "darwin") and not any(map(os.environ.get, displays)):
        return False
    try:
        return webbrowser.open(address)
    except (webbrowser.Error, OSError):
        return False


def _tell_problems(console: Console, session: ReviewSession, gone: list[int]) -> None:
    from capgen.images.decoders import printable

    broken = session.items.malformed
    if broken:
        console.note(f"{broken:,} {_plural(broken, 'line is no record', 'lines are no records')}")
    if not gone:
        return
    named = [printable(session.item(number).key.path or "(no name)") for number in gone]
    names = ", ".join(named[:_MOST_NAMED]) + (", …" if len(named) > _MOST_NAMED else "")
    console.note(
        f"{len(gone):,} of {len(session.items.by_id):,} images are missing: {names}. Paths are "
        "looked up in the present folder, then beside the captions' file"
    )


def _tell_result(console: Console, session: ReviewSession) -> None:
    counts = session.counts()
    left = counts.pop("left")
    done = sum(counts.values())
    verdicts = ", ".join(f"{count:,} {verdict}" for verdict, count in counts.items())
    console.note(f"{done:,} of {done + left:,} images reviewed: {verdicts}; {left:,} left")
    sure = [item.confidence for item in session.left() if item.confidence is not None]
    if sure:
        doubtful = sum(confidence < 0.5 for confidence in sure)
        console.note(
            f"the confidence of those left is {median(sure):.2f} in the median, "
            f"and below 0.5 for {doubtful:,}"
        )


def tell_next(console: Console, session: ReviewSession, records: Path) -> None:
    """Tell what to do after a review: captions of a site go into its pages, not into images."""
    counts = session.counts()
    if counts["accepted"] or counts["edited"]:
        if records.name == ALT_RECORDS:
            console.note("next: the same capgen alt fill as before, without --dry-run")
        else:
            apply = f"capgen apply {shlex.quote(str(records))}"
            console.note(f"next: {apply} --write-metadata, or {apply} --sidecar .txt")
    if counts["left"]:
        console.note("the same command goes on with the review")


def _plural(count: int, one: str, several: str) -> str:
    return one if count == 1 else several
