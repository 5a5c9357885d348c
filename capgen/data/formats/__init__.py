"""The layouts that capgen reads, recognised by looking at a folder or file."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from capgen.data.formats import (
    arrow,
    coco,
    flickr,
    joined_tables,
    json_list,
    json_map,
    karpathy,
    manifest,
    parquet,
    reviewed,
    roco,
    sidecar,
    table,
    textcaps,
    webdataset,
)
from capgen.data.formats.reading import Reading, ReadOptions
from capgen.data.formats.unknown_layout import choice_of, what_is_seen
from capgen.data.problems import Report
from capgen.data.splits import split_name
from capgen.errors import DataError, UsageError, did_you_mean
from capgen.images.folders import walk_files

__all__ = ["FORMATS", "Format", "ReadOptions", "Reading", "read_any", "recognise"]


@dataclass(frozen=True)
class Format:
    """One layout.

    Attributes:
        title: What people call it.
        description: What it looks like, for the documentation, as Markdown.
        recognise: Returns something true if a path looks like this layout.
        read: Reads it.
        applicable: The fields of `ReadOptions` that apply to it, besides `format`.
    """

    title: str
    description: str
    recognise: Callable[[Path], object]
    read: Callable[[Path, ReadOptions, Report], Reading]
    applicable: frozenset[str] = frozenset({"images"})


_COLUMNS = frozenset({"image_column", "caption_column", "split_column"})
_ROWS = _COLUMNS | {"images"}

# In the order in which they are tried: the most distinctive first.
FORMATS: dict[str, Format] = {
    "capgen": Format(
        "capgen data set", manifest.DESCRIPTION, manifest.manifest_file, manifest.read
    ),
    "reviewed": Format(
        "records of `capgen caption` that are reviewed",
        reviewed.DESCRIPTION,
        reviewed.is_reviewed,
        reviewed.read,
        frozenset({"images", "only"}),
    ),
    "flickr": Format(
        "official Flickr8k or Flickr30k folder", flickr.DESCRIPTION, flickr.token_file, flickr.read
    ),
    "coco": Format("COCO captions JSON", coco.DESCRIPTION, coco.caption_files, coco.read),
    "karpathy": Format(
        "Karpathy JSON", karpathy.DESCRIPTION, karpathy.karpathy_file, karpathy.read
    ),
    "datasets": Format(
        "directory saved by the `datasets` library",
        arrow.DESCRIPTION,
        arrow.is_saved_dataset,
        arrow.read,
        _COLUMNS,
    ),
    "roco": Format("ROCO folder", roco.DESCRIPTION, roco.caption_files, roco.read, _ROWS),
    "imagefolder": Format(
        "images with metadata.csv or metadata.jsonl",
        table.IMAGEFOLDER_DESCRIPTION,
        table.metadata_files,
        table.read_imagefolder,
        _ROWS,
    ),
    "table": Format(
        "CSV, TSV or JSON Lines with a column of images and one of captions",
        table.DESCRIPTION,
        table.tables,
        table.read_table,
        _ROWS,
    ),
    "joined_tables": Format(
        "a table of images and one of captions",
        joined_tables.DESCRIPTION,
        joined_tables.joinable,
        joined_tables.read,
        _ROWS,
    ),
    "webdataset": Format(
        "WebDataset tar shards",
        webdataset.DESCRIPTION,
        webdataset.recognise,
        webdataset.read,
        frozenset({"caption_column"}),
    ),
    "sidecar": Format(
        "images with .txt, .caption or .json files",
        sidecar.DESCRIPTION,
        sidecar.recognise,
        sidecar.read,
        frozenset({"images", "caption_column"}),
    ),
    "textcaps": Format("TextCaps JSON", textcaps.DESCRIPTION, textcaps.files, textcaps.read, _ROWS),
    "json_list": Format(
        "JSON list of images and captions",
        json_list.DESCRIPTION,
        json_list.files,
        json_list.read,
        _ROWS,
    ),
    "json_map": Format(
        "JSON map of images to captions", json_map.DESCRIPTION, json_map.files, json_map.read, _ROWS
    ),
    "parquet": Format(
        "Parquet files with images and captions",
        parquet.DESCRIPTION,
        parquet.parquet_files,
        parquet.read,
        _ROWS,
    ),
}
# Files that say nothing about where the captions of a folder are.
_ABOUT = (".md", ".rst", ".pdf", ".html", ".txt", "")


def recognise(path: Path) -> str:
    """Return the name of the first format that a folder or file looks like."""
    return _find(path)[0]


def _find(path: Path) -> tuple[str, Path]:
    """Return the format, and the folder or file that is in it: `path` or the folder in it."""
    if not path.exists():
        raise DataError(f"No such file or folder: {path}")
    place: Path | None = path
    while place is not None:
        for name, candidate in FORMATS.items():
            if candidate.recognise(place):
                return name, place
        place = _only_folder(place)
    titles = "; ".join(candidate.title for candidate in FORMATS.values())
    choice = choice_of(path)
    raise DataError(
        f"{path} is not in a known layout of captions and images; seen: {what_is_seen(path)}",
        hint=f"{choice} Known layouts: {titles}. Choose one with --format.".strip(),
    )


def _only_folder(folder: Path) -> Path | None:
    """Return the folder that is all that a folder has, as archives often unpack to."""
    if not folder.is_dir():
        return None
    inner = [path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")]
    files = walk_files(folder, recursive=False)
    if len(inner) != 1 or any(path.suffix.lower() not in _ABOUT for path in files):
        return None
    # A manifest's folder is named itself, and a folder called train would lose that.
    return None if split_name(inner[0].name) or manifest.manifest_file(inner[0]) else inner[0]


def read_any(path: Path, options: ReadOptions, report: Report) -> tuple[str, Reading]:
    """Read a folder or file in whatever format it is in; return the format's name, too.

    A `..` in an image's path must come from the data, so those in the caller's own paths are
    resolved first.

    Raises:
        DataError: It is not there, is in no known format, or cannot be read.
        UsageError: An option does not apply to its format.
    """
    place = path
    if options.format is None:
        name, place = _find(path)
    else:
        name = options.format
    if name not in FORMATS:
        raise DataError(f"Unknown format {name!r}", hint=did_you_mean(name, FORMATS))
    _check_heeded(name, options)
    if options.images is not None:
        options = dataclasses.replace(options, images=_without_parents(options.images))
    return name, FORMATS[name].read(_without_parents(place), options, report)


def _check_heeded(name: str, options: ReadOptions) -> None:
    layout = FORMATS[name]
    for option, value in dataclasses.asdict(options).items():
        if value is not None and option not in layout.applicable | {"format"}:
            raise UsageError(
                f"--{option.replace('_', '-')} does not apply to this layout: {layout.title}",
                hint="Leave it out, or choose another layout with --format.",
            )


def _without_parents(path: Path) -> Path:
    return path.resolve() if ".." in path.parts else path
