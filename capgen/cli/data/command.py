"""`capgen data`: download, import, describe, examine, show and remove data sets."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from capgen.cli.console import Console, confirm_deletion
from capgen.cli.help import examples
from capgen.cli.options import Json, Yes, option, with_options
from capgen.data.splits import SplitOptions
from capgen.overwriting import OWN_LINES, WEB_PAGE, InputFiles, check_output

if TYPE_CHECKING:
    from capgen.data.formats.reading import ReadOptions

SOURCE_PANEL = "Source"

data_app = typer.Typer(
    name="data", help="Download, import, describe and examine data sets.", no_args_is_help=True
)

Target = Annotated[str, typer.Argument(metavar="NAME|PATH", help="Installed data set, or a path.")]
Store = Annotated[
    Path | None,
    typer.Option("--data-dir", metavar="DIR", help="Folder that holds the installed data sets."),
]
FormatOption = Annotated[
    str | None,
    typer.Option(
        "--format",
        help="The source's format, if it is not recognised.",
        rich_help_panel=SOURCE_PANEL,
    ),
]


@dataclass(frozen=True, kw_only=True)
class Source:
    """What may be said about a source instead of leaving it to be recognised."""

    PANEL: ClassVar[str] = SOURCE_PANEL

    format: FormatOption = None
    images: Path | None = option(None, "Folder of the images.")  # noqa: RUF009
    image_column: str | None = option(None, "Column of the images' names.")
    caption_column: str | None = option(None, "Column of the captions.")
    split_column: str | None = option(None, "Column of the splits.")

    def read_options(self) -> ReadOptions:
        """Return it as the readers take it."""
        from capgen.data.formats.reading import ReadOptions

        return ReadOptions(**vars(self))


@data_app.command("list", epilog=examples("capgen data list"))
def list_command(data_dir: Store = None, as_json: Json = False) -> None:
    """List the data sets that are installed and those that can be downloaded."""
    from capgen.cli.data import view
    from capgen.data.download.catalog import DATASETS
    from capgen.data.installed import dataset_dir, installed

    here = installed(data_dir)
    rows = [
        {
            "name": name,
            "installed": name in here,
            "title": DATASETS[name].title if name in DATASETS else "",
            "pictures": DATASETS[name].images if name in DATASETS else None,
            "licence": DATASETS[name].licence if name in DATASETS else "",
            "folder": str(dataset_dir(name, data_dir)) if name in here else None,
        }
        for name in [*DATASETS, *(name for name in here if name not in DATASETS)]
    ]
    if as_json:
        view.print_json(rows)
    else:
        view.show_list(rows)


@data_app.command(epilog=examples("capgen data download flickr8k --accept-terms"))
def download(
    name: Annotated[str, typer.Argument(help="Data set to download (see `capgen data list`).")],
    data_dir: Store = None,
    mirror: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URL",
            help="Folder of the release's files, in place of the sources; may be repeated."
            " Default: the variable CAPGEN_MIRROR.",
        ),
    ] = None,
    accept_terms: Annotated[
        bool, typer.Option("--accept-terms", help="Accept the terms of the source.")
    ] = False,
    keep_archives: Annotated[
        bool, typer.Option("--keep-archives", help="Keep the downloaded files.")
    ] = False,
) -> None:
    """Download a data set; an interrupted download goes on where it was."""
    from capgen.cli.data import view
    from capgen.data.download.catalog import DATASETS
    from capgen.data.download.install import install

    if name in DATASETS:
        view.show_terms(DATASETS[name])
    view.follow(
        install(
            name,
            store=data_dir,
            mirrors=mirror or (),
            accept_terms=accept_terms,
            keep_archives=keep_archives,
        )
    )


@data_app.command(
    "import",
    epilog=examples(
        "capgen data import my-photos/ --name mine --val-fraction 0.2 --test-fraction 0.2"
    ),
)
@with_options()
def import_command(
    *,
    path: Annotated[Path, typer.Argument(help="Folder or file in any known format.")],
    name: Annotated[str, typer.Option("--name", "-n", help="Name to install it under.")],
    data_dir: Store = None,
    source: Source,
    splits: SplitOptions,
    link: Annotated[
        bool, typer.Option("--link", help="Leave the images where they are; copy nothing.")
    ] = False,
    language: Annotated[
        str, typer.Option("--language", help="Language of the captions, as in en, de or pt-BR.")
    ] = "",
) -> None:
    """Install a data set of your own; its format is recognised by looking."""
    from capgen.cli.data import view
    from capgen.data.import_set import import_dataset

    view.follow(
        import_dataset(
            path,
            name,
            store=data_dir,
            options=source.read_options(),
            splits=splits,
            link=link,
            language=language,
        )
    )


@data_app.command(
    epilog=examples("capgen data info flickr8k", "capgen data info my-photos/ --json")
)
def info(
    target: Target, data_dir: Store = None, as_json: Json = False, format: FormatOption = None
) -> None:
    """Describe a data set: counts, resolution, caption lengths, vocabulary."""
    from capgen.cli.data import view
    from capgen.data.dataset import load_dataset, locate
    from capgen.data.statistics import describe

    dataset = load_dataset(locate(target, data_dir), options=Source(format=format).read_options())
    statistics = describe(dataset)
    if as_json:
        view.print_json(view.info_record(dataset, statistics))
    else:
        view.show_info(dataset, statistics)


@data_app.command(
    epilog=examples(
        "capgen data doctor flickr8k", "capgen data doctor my-photos/ --fix -o clean.jsonl"
    )
)
@with_options()
def doctor(
    *,
    target: Target,
    data_dir: Store = None,
    fix: Annotated[
        bool, typer.Option("--fix", help="Write a clean manifest; the source stays as it is.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where to write the clean manifest.")
    ] = None,
    show: Annotated[int, typer.Option(help="Findings to show of each class; 0 shows all.")] = 5,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 1 if there is any finding.")
    ] = False,
    as_json: Json = False,
    source: Source,
) -> None:
    """Find missing, corrupt and duplicate images, and captions that would spoil training."""
    from capgen.cli.data import view
    from capgen.data.checks import diagnose, write_fixed
    from capgen.data.dataset import locate

    if output is not None:
        check_output(output, OWN_LINES, option="-o")
    diagnosis = view.follow_diagnosis(
        diagnose(locate(target, data_dir), options=source.read_options())
    )
    if as_json:
        view.print_json(diagnosis.to_dict())
    else:
        view.show_diagnosis(diagnosis, show)
    if fix:
        view.show_fixed(write_fixed(diagnosis, output))
    elif strict and diagnosis.problems:
        raise typer.Exit(1)


@data_app.command(epilog=examples("capgen data preview flickr8k --samples 12 -o preview.html"))
def preview(
    target: Target,
    data_dir: Store = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="HTML file to write.")
    ] = None,
    samples: Annotated[int, typer.Option(min=1, help="How many images.")] = 24,
    seed: Annotated[int, typer.Option(help="Seed of the choice.")] = 0,
    split: Annotated[str | None, typer.Option(help="Choose from this split only.")] = None,
) -> None:
    """Write an HTML page of random images with their captions; print its path."""
    from capgen.data.dataset import load_dataset, locate
    from capgen.data.preview import write_preview

    if output is not None:
        check_output(output, WEB_PAGE, option="-o", inputs=InputFiles([target]))
    dataset = load_dataset(locate(target, data_dir))
    path = output or Path(f"{dataset.name}-preview.html")
    write_preview(dataset, path, samples=samples, seed=seed, split=split)
    Console().data(str(path))


@data_app.command(epilog=examples("capgen data remove flickr8k --yes"))
def remove(
    name: Annotated[str, typer.Argument(help="Installed data set.")],
    data_dir: Store = None,
    yes: Yes = False,
) -> None:
    """Delete an installed data set; images outside its folder stay."""
    from capgen.data import installed

    place = installed.find(name, data_dir)
    if not yes:
        confirm_deletion(place)
    installed.remove(name, data_dir)
    Console().data(f"Removed {place}")


@data_app.command(epilog=examples("capgen data cache", "capgen data cache --clear"))
def cache(
    clear: Annotated[bool, typer.Option("--clear", help="Delete all of it.")] = False,
    as_json: Json = False,
) -> None:
    """Show what is kept to save time, and how much it takes, or delete it.

    Decoded images, encoder features, teachers' captions, images out of archives, checksums:
    all of it is made again when it is needed.
    """
    from capgen.cli.data import view
    from capgen.data.cache import folders

    if clear:
        freed = folders.clear()
        if as_json:
            view.print_json({"freed": freed})
        else:
            Console().data(f"Freed {freed / 1e6:,.1f} MB")
        return
    parts = folders.usage()
    if as_json:
        view.print_json([{**vars(part), "path": str(part.path)} for part in parts])
    else:
        view.show_cache(parts)
