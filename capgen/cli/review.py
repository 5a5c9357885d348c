"""`capgen review`: captions a folder if asked, runs the page's server, tells what is left."""

from __future__ import annotations

import getpass
from contextlib import ExitStack
from pathlib import Path
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
from capgen.cli.user_defaults import unused_notes
from capgen.config import (
    EndpointOptions,
    ImageLimits,
    InputOptions,
    ModelOptions,
    PromptOptions,
    ReviewOptions,
)
from capgen.errors import UsageError
from capgen.paths import is_folder

if TYPE_CHECKING:
    from capgen.review_page.places import ImagePlaces
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
    from capgen.review_page.items import read_items
    from capgen.review_page.places import ImagePlaces
    from capgen.review_page.session import ReviewSession
    from capgen.reviews.journal import ReviewJournal, reviews_path

    console = Console()
    for note in unused_notes(context, "review"):
        console.note(note)
    folder = captions if is_folder(captions) else None
    if folder is None and output is not None:
        raise UsageError("-o is for the captions of a folder", hint="Leave it out.")
    records = captions if folder is None else output or default_output(folder)
    with ExitStack() as stack:
        if folder is None:
            items = read_items(records)
            journal = ReviewJournal(reviews_path(records))
            stack.callback(journal.close)
        else:
            from capgen.cli.caption.folder import caption_folder

            # Before the work: another review may have this file open.
            journal = ReviewJournal(reviews_path(records))
            stack.callback(journal.close)
            caption_folder(console, folder, records, model, inputs, limits)
            items = read_items(records)
        places = ImagePlaces([Path.cwd(), records.parent])
        missing = places.missing(item.key.path for item in items.by_id.values())
        gone = [number for number, lost in zip(items.by_id, missing, strict=True) if lost]
        session = ReviewSession(items, journal, reviewer(page.by), gone)
        _tell_problems(console, session, gone)
        _serve(console, session, places, page, limits, records)
        _tell_result(console, session, records)


def default_output(folder: Path) -> Path:
    """Return where the captions of a folder go: a file in the present folder."""
    name = folder.name or folder.resolve().name
    if name == "..":
        name = folder.resolve().name
    return Path(f"{name}-captions.jsonl" if name else "captions.jsonl")


def reviewer(name: str | None) -> str:
    """Return the name to save with decisions."""
    if name is not None:
        return name
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a user without a name, as in some containers
        return ""


def _serve(
    console: Console,
    session: ReviewSession,
    places: ImagePlaces,
    page: ReviewOptions,
    limits: ImageLimits,
    records: Path,
) -> None:
    from capgen.review_page.app import Review, make_app
    from capgen.review_page.security import Access
    from capgen.review_page.serve import HOST, Server, listen
    from capgen.review_page.windows import Windows

    listening = listen(page.port)
    port = listening.getsockname()[1]
    access, windows = Access(), Windows()
    review = Review(session=session, places=places, limits=limits, name=records.name)
    server = Server(make_app(review, access, windows, port), windows, listening)
    server.start()
    address = f"http://{HOST}:{port}/?token="
    try:
        console.note(f"the review is at {address}{access.token}")
        console.note("every decision is saved at once; Ctrl-C ends the review")
        if page.open_browser:
            _open(console, address + access.once())
        server.wait()
    except (KeyboardInterrupt, SystemExit):
        pass  # it ends as it should
    finally:
        server.stop()


def _open(console: Console, address: str) -> None:
    import webbrowser

    try:
        opened = webbrowser.open(address)
    except (webbrowser.Error, OSError):
        opened = False
    if not opened:
        console.note("no browser could be opened: open the address yourself")


def _tell_problems(console: Console, session: ReviewSession, gone: list[int]) -> None:
    broken = session.items.malformed
    if broken:
        console.note(f"{broken} lines are no records and are left out")
    if gone:
        named = [session.item(number).key.path or "(no name)" for number in gone[:_MOST_NAMED]]
        more = ", …" if len(gone) > _MOST_NAMED else ""
        console.note(
            f"{len(gone)} of {len(session.items.by_id)} images are not there: "
            f"{', '.join(named)}{more}; paths are looked up here and beside the captions' file"
        )


def _tell_result(console: Console, session: ReviewSession, records: Path) -> None:
    counts = session.counts()
    console.note(", ".join(f"{count:,} {verdict}" for verdict, count in counts.items()))
