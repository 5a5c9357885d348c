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
    karpathy,
    manifest,
    reviewed,
    sidecar,
    table,
    webdataset,
)
from capgen.data.formats.reading import Reading, ReadOptions
from capgen.data.problems import Report
from capgen.errors import DataError, UsageError, did_you_mean

__all__ = ["FORMATS", "Format", "ReadOptions", "Reading", "read_any", "recognise"]


@dataclass(frozen=True)
class Format:
    """One layout.

    Attributes:
        title: What people call it.
        recognise: Returns something true if a path looks like this layout.
        read: Reads it.
        applicable: The fields of `ReadOptions` that apply to it, besides `format`.
    """

    title: str
    recognise: Callable[[Path], object]
    read: Callable[[Path, ReadOptions, Report], Reading]
    applicable: frozenset[str] = frozenset({"images"})


_COLUMNS = frozenset({"image_column", "caption_column", "split_column"})

# In the order in which they are tried: the most distinctive first.
FORMATS: dict[str, Format] = {
    "capgen": Format("capgen data set", manifest.manifest_file, manifest.read),
    "reviewed": Format(
        "records of `capgen caption` that are reviewed",
        reviewed.is_reviewed,
        reviewed.read,
        frozenset({"images", "only"}),
    ),
    "flickr": Format("official Flickr8k or Flickr30k folder", flickr.token_file, flickr.read),
    "coco": Format("COCO captions JSON", coco.caption_files, coco.read),
    "karpathy": Format("Karpathy JSON", karpathy.karpathy_file, karpathy.read),
    "datasets": Format(
        "directory saved by the `datasets` library", arrow.is_saved_dataset, arrow.read, _COLUMNS
    ),
    "imagefolder": Format(
        "images with metadata.csv or metadata.jsonl",
        table.metadata_files,
        table.read_imagefolder,
        _COLUMNS | {"images"},
    ),
    "table": Format(
        "CSV, TSV or JSON Lines with a column of images and one of captions",
        table.tables,
        table.read_table,
        _COLUMNS | {"images"},
    ),
    "webdataset": Format(
        "WebDataset tar shards",
        webdataset.recognise,
        webdataset.read,
        frozenset({"caption_column"}),
    ),
    "sidecar": Format("images with .txt or .caption files", sidecar.recognise, sidecar.read),
}


def recognise(path: Path) -> str:
    """Return the name of the first format that a folder or file looks like."""
    if not path.exists():
        raise DataError(f"No such file or folder: {path}")
    for name, candidate in FORMATS.items():
        if candidate.recognise(path):
            return name
    titles = "; ".join(candidate.title for candidate in FORMATS.values())
    raise DataError(
        f"{path} is not in a known layout of captions and images",
        hint=f"Known layouts: {titles}. Choose one with --format.",
    )


def read_any(path: Path, options: ReadOptions, report: Report) -> tuple[str, Reading]:
    """Read a folder or file in whatever format it is in; return the format's name, too.

    A `..` in an image's path must come from the data, so those in the caller's own paths are
    resolved first.

    Raises:
        DataError: It is not there, is in no known format, or cannot be read.
        UsageError: An option does not apply to its format.
    """
    name = options.format or recognise(path)
    if name not in FORMATS:
        raise DataError(f"Unknown format {name!r}", hint=did_you_mean(name, FORMATS))
    _check_heeded(name, options)
    if options.images is not None:
        options = dataclasses.replace(options, images=_without_parents(options.images))
    return name, FORMATS[name].read(_without_parents(path), options, report)


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
