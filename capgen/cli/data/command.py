"""`capgen data`: download, import, describe, examine, show and remove data sets."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from capgen.cli.console import Console, confirm_deletion
from capgen.cli.help import examples
from capgen.cli.options import Json, Yes, option, with_options
from capgen.config import check_ranges
from capgen.data.splits import SplitOptions
from capgen.overwriting import OWN_MANIFEST, OWN_PREVIEW, WEB_PAGE, InputFiles, check_output

if TYPE_CHECKING:
    from capgen.data.formats.reading import ReadOptions

SOURCE_PANEL = "Source"

data_app = typer.Typer(
    name="data", help="Download, import, describe and examine data sets.", no_args_is_help=True
)

Target = Annotated[
    str, typer.Argument(metavar="NAME|PATH", help="An installed data set, a path, or hf:USER/NAME.")
]
Store = Annotated[
    Path | None,
    typer.Option(
        "--data-dir", metavar="DIR", help="Folder of installed data sets, instead of capgen's own."
    ),
]
FormatOption = Annotated[
    str | None,
    typer.Option(
        "--format",
        help="Format of the source, if it is not recognised.",
        rich_help_panel=SOURCE_PANEL,
    ),
]


@dataclass(frozen=True, kw_only=True)
class Source:
    """What to know about a source, instead of recognising it."""

    PANEL: ClassVar[str] = SOURCE_PANEL

    format: FormatOption = None
    images: Path | None = option(None, "Folder of the images.")  # noqa: RUF009
    image_column: str | None = option(None, "Column with the images' names.")
    caption_column: str | None = option(None, "Column with the captions.")
    split_column: str | None = option(None, "Column with the splits.")
    only: str | None = option(
        None, "Of reviewed captions, only those that people wrote.", choices=("edited",)
    )

    def read_options(self) -> ReadOptions:
        from capgen.data.formats.reading import ReadOptions

        check_ranges(self)
        return ReadOptions(**vars(self))


@data_app.command("list", epilog=examples("capgen data list"))
def list_command(data_dir: Store = None, as_json: Json = False) -> None:
    """List data sets: installed ones, and those you can download."""
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
        Console().json(rows)
    else:
        view.show_list(rows)


@dataclass(frozen=True, kw_only=True)
class Download:
    """Where a data set is downloaded from, and what is kept."""

    mirror: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URL",
            help="Download the release's files from this folder instead; may be repeated. "
            "Default: CAPGEN_MIRROR.",
        ),
    ] = None
    accept_terms: bool = option(False, "Accept the data set's terms of use.")
    keep_archives: bool = option(False, "Keep the downloaded archives.")


@data_app.command(epilog=examples("capgen data download flickr8k --accept-terms"))
@with_options()
def download(
    name: Annotated[str, typer.Argument(help="Data set to download (see `capgen data list`).")],
    asked: Download,
    data_dir: Store = None,
) -> None:
    """Download a data set. An interrupted download resumes where it stopped."""
    from capgen.cli.data import view
    from capgen.data.download.catalog import DATASETS
    from capgen.data.download.install import install

    if name in DATASETS:
        view.show_terms(DATASETS[name])
    events = install(
        name,
        store=data_dir,
        mirrors=asked.mirror or (),
        accept_terms=asked.accept_terms,
        keep_archives=asked.keep_archives,
    )
    view.follow(events)


@data_app.command(
    "import",
    epilog=examples(
        "capgen data import coco_sample/",
        "capgen data import my-photos/ --name mine --val-fraction 0.2 --test-fraction 0.2",
        "capgen data import captions.jsonl --name corrected",
    ),
)
@with_options()
def import_command(
    *,
    path: Annotated[
        Path, typer.Argument(help="Folder or file in any supported format, or hf:USER/NAME.")
    ],
    name: Annotated[
        str | None,
        typer.Option(
            "--name", "-n", help="Name to install it under; by default that of the folder or file."
        ),
    ] = None,
    data_dir: Store = None,
    source: Source,
    splits: SplitOptions,
    link: Annotated[
        bool,
        typer.Option(
            "--link", help="Use the images where they are; only those from archives are copied."
        ),
    ] = False,
    language: Annotated[
        str, typer.Option("--language", help="Language of the captions, such as en, de or pt-BR.")
    ] = "",
) -> None:
    """Install your own data set. capgen recognises most formats."""
    from capgen.cli.data import view
    from capgen.data.import_set import import_dataset, name_of_source

    view.follow(
        import_dataset(
            path,
            name_of_source(path) if name is None else name,
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
        Console().json(view.info_record(dataset, statistics))
    else:
        view.show_info(dataset, statistics)


@dataclass(frozen=True, kw_only=True)
class Examination:
    """What to do with the problems of a data set."""

    fix: bool = option(False, "Write a corrected manifest; the source is not changed.")
    output: Path | None = option(  # noqa: RUF009
        None, "File for the corrected manifest.", flags="--output -o"
    )
    show: int = option(5, "Number of problems to show per class; 0 shows all.")
    strict: bool = option(False, "Exit with code 1 if there are problems.")


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
    examination: Examination,
    as_json: Json = False,
    source: Source,
) -> None:
    """Find missing, corrupt and duplicate images, and captions that would harm training."""
    from capgen.cli.data import view
    from capgen.data.checks import diagnose, write_fixed
    from capgen.data.dataset import locate

    if examination.output is not None:
        check_output(examination.output, OWN_MANIFEST, option="-o")
    diagnosis = view.follow_diagnosis(
        diagnose(locate(target, data_dir), options=source.read_options())
    )
    if as_json:
        Console().json(diagnosis.to_dict())
    else:
        view.show_diagnosis(diagnosis, examination.show)
    if examination.fix:
        view.show_fixed(write_fixed(diagnosis, examination.output))
    elif examination.strict and diagnosis.problems:
        raise typer.Exit(1)


@dataclass(frozen=True, kw_only=True)
class Preview:
    """Which images a preview shows, and where it is written."""

    output: Path | None = option(None, "HTML file to write.", flags="--output -o")  # noqa: RUF009
    samples: int = option(24, "Number of images.", low=1)
    seed: int = option(0, "Random seed of the choice.")
    split: str | None = option(None, "Choose only from this split.")

    def __post_init__(self) -> None:
        check_ranges(self)


@data_app.command(epilog=examples("capgen data preview flickr8k --samples 12 -o preview.html"))
@with_options()
def preview(target: Target, page: Preview, data_dir: Store = None) -> None:
    """Write a web page of random images with their captions, and print its path."""
    from capgen.data import installed
    from capgen.data.dataset import load_dataset, locate
    from capgen.data.import_set import left_out
    from capgen.data.preview import write_preview

    if page.output is not None:
        check_output(page.output, WEB_PAGE, option="-o", inputs=InputFiles([target]))
    root = locate(target, data_dir)
    # A page may be shown to others: a table or a link of unknown origin could name any file.
    known = installed.holds(root, data_dir)
    dataset = load_dataset(root, take_in=None if known else "all")
    for notice in left_out(dataset):
        Console().note(notice.message)
    path = page.output or Path(f"{dataset.name}-preview.html")
    if page.output is None:  # nobody named the file
        check_output(path, OWN_PREVIEW)
    write_preview(dataset, path, samples=page.samples, seed=page.seed, split=page.split)
    Console().data(str(path))


@data_app.command(epilog=examples("capgen data remove flickr8k --yes"))
def remove(
    name: Annotated[str, typer.Argument(help="An installed data set.")],
    data_dir: Store = None,
    yes: Yes = False,
) -> None:
    """Delete an installed data set, but no images outside its folder."""
    from capgen.data import installed

    place = installed.find(name, data_dir)
    if not yes:
        confirm_deletion(place)
    installed.remove(name, data_dir)
    Console().data(f"Removed {place}")


@data_app.command(epilog=examples("capgen data cache", "capgen data cache --clear"))
def cache(
    clear: Annotated[bool, typer.Option("--clear", help="Delete the caches.")] = False,
    as_json: Json = False,
) -> None:
    """Show the size of capgen's caches, or delete them.

    They hold decoded images, encoder features, teachers' captions, images from archives, and
    checksums. capgen makes them again when it needs them.
    """
    from capgen import cache_folders
    from capgen.cli.data import view

    if clear:
        freed = cache_folders.clear()
        if as_json:
            Console().json({"freed": freed})
        else:
            Console().data(f"Freed {freed / 1e6:,.1f} MB")
        return
    parts = cache_folders.usage()
    if as_json:
        Console().json([{**vars(part), "path": str(part.path)} for part in parts])
    else:
        view.show_cache(parts)
