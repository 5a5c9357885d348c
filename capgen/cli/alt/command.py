"""`capgen alt`: alternative texts of the images of a site."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

import capgen
from capgen.cli.alt.options import FillPlaces
from capgen.cli.caption.options import Run
from capgen.cli.console import Console
from capgen.cli.help import examples
from capgen.cli.options import (
    DECODING_PANEL,
    MODEL_PANEL,
    OUTPUT_PANEL,
    JsonOption,
    with_options,
    without,
)
from capgen.cli.sending import confirm_sending
from capgen.cli.user_defaults import unused_notes, use_user_defaults
from capgen.config import (
    AltCheckOptions,
    AltFillOptions,
    BatchOptions,
    DecodeOptions,
    EndpointOptions,
    EngineOptions,
    ImageLimits,
    ModelOptions,
    PromptOptions,
    ReviewOptions,
    SiteOptions,
    WordOptions,
)
from capgen.errors import UsageError

alt_app = typer.Typer(name="alt", no_args_is_help=True)
FORMATS = ("text", "json", "sarif")

Content = Annotated[
    Path,
    typer.Argument(
        metavar="CONTENT",
        help="The folder of pages (.md, .mdx, .html), or one page.",
        show_default=False,
    ),
]


@alt_app.callback()
def _alt(context: typer.Context) -> None:
    """Find, write and check the alternative texts of a site's images."""
    use_user_defaults(context, "alt.")


@alt_app.command("scan", epilog=examples("capgen alt scan content/"))
@with_options(section="alt.scan")
def scan_command(
    context: typer.Context, content: Content, *, site: SiteOptions, as_json: JsonOption = False
) -> None:
    """List the images without alternative text in Markdown, MDX and HTML pages.

    An empty text in HTML (alt="") says that the image is decoration, and is left alone.
    """
    from capgen.alt_text.site import read_site
    from capgen.cli.alt import view

    console = Console()
    for note in unused_notes(context, "alt.scan"):
        console.note(note)
    found = read_site(content, site)
    if as_json:
        console.json(view.scan_fields(found))
    else:
        view.show_scan(console, found)


@alt_app.command(
    "fill",
    epilog=examples(
        "capgen alt fill content/ --dry-run",
        "capgen alt fill content/ --review --only accepted",
        "capgen alt fill content/ --model smolvlm-500m",
    ),
)
@with_options(
    section="alt.fill",
    panels=(
        *(SiteOptions.PANEL, OUTPUT_PANEL, MODEL_PANEL, PromptOptions.PANEL),
        *(EndpointOptions.PANEL, DECODING_PANEL, WordOptions.PANEL, BatchOptions.PANEL),
        *(ReviewOptions.PANEL, ImageLimits.PANEL, EngineOptions.PANEL),
    ),
)
def fill_command(
    context: typer.Context,
    content: Content,
    *,
    fill: AltFillOptions,
    places: FillPlaces,
    model: ModelOptions,
    decoding: Annotated[DecodeOptions, without("confidence")],
    run: Run,
    limits: ImageLimits,
) -> None:
    """Caption the images without alternative text, and write the captions into their pages.

    Nothing else of a page changes, and `capgen undo` takes it back byte for byte. A model that
    follows prompts is told the heading above each image and the text beside it.
    """
    from capgen.cli.alt.fill import FillJob, run_fill

    console = Console(quiet=places.quiet)
    for note in unused_notes(context, "alt.fill"):
        console.note(note)
    confirm_sending(model)
    job = FillJob(
        content=content,
        fill=fill,
        places=places,
        model=model,
        decoding=replace(decoding, confidence=True),  # the page orders by it, and it is free
        run=run,
        limits=limits,
    )
    code = run_fill(console, job)
    if code:
        raise typer.Exit(code)


@alt_app.command(
    "check",
    epilog=examples(
        "capgen alt check content/",
        "capgen alt check content/ --format sarif -o alt.sarif",
        "capgen alt check content/ --ignore too-long",
    ),
)
@with_options(section="alt.check", panels=(SiteOptions.PANEL, AltCheckOptions.PANEL, OUTPUT_PANEL))
def check_command(
    context: typer.Context,
    content: Content,
    *,
    site: SiteOptions,
    rules: AltCheckOptions,
    format: Annotated[
        str,
        typer.Option(
            help="What is printed: a line for each finding, JSON, or SARIF, which code hosts show "
            "beside the lines.",
            rich_help_panel=OUTPUT_PANEL,
        ),
    ] = "text",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Write it to this file instead.", rich_help_panel=OUTPUT_PANEL
        ),
    ] = None,
) -> None:
    """Check alternative texts, for continuous integration: exit code 1 if anything is wrong.

    Finds images without one, names of files, words that say nothing, "image of", long texts, and
    the same text on different images.
    """
    if format not in FORMATS:
        raise UsageError(f"--format is '{format}'; it must be one of {', '.join(FORMATS)}")
    from capgen.alt_text.sarif import sarif
    from capgen.alt_text.site import check_site, read_site
    from capgen.cli.alt import view
    from capgen.output.records import dump_json
    from capgen.overwriting import TEXT_OR_DATA, InputFiles, Output, check_outputs
    from capgen.paths import check_place, write_text

    console = Console()
    for note in unused_notes(context, "alt.check"):
        console.note(note)
    pages = read_site(content, site)
    if output is not None:
        check_place(output)
        read = InputFiles(page.path for page in pages.pages)
        check_outputs([Output("-o", output, TEXT_OR_DATA)], read)
    found = list(check_site(pages, rules))
    lines = view.finding_lines(found)
    if format != "text":
        log = sarif(found, capgen.__version__) if format == "sarif" else None
        lines = [dump_json(log or view.check_fields(pages, found), indent=2)]
    if output is not None:
        write_text(output, "".join(f"{line}\n" for line in lines))
    else:
        for line in lines:
            console.data(line)
    view.tell_findings(console, pages, found)
    if found:
        raise typer.Exit(1)
