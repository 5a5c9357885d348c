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
    sidecar,
    table,
    webdataset,
)
from capgen.data.formats.reading import Reading, ReadOptions
from capgen.data.problems import Report
from capgen.errors import DataError, did_you_mean

__all__ = ["FORMATS", "Format", "ReadOptions", "Reading", "read_any", "recognise"]


@dataclass(frozen=True, kw_only=True)
class Format:
    """One layout.

    Attributes:
        title: What people call it.
        recognise: Returns what makes a path look like this layout, or None.
        read: Reads it.
    """

    title: str
    recognise: Callable[[Path], str | None]
    read: Callable[[Path, ReadOptions, Report], Reading]


# In the order of trial: the more telling a layout's marks, the earlier.
FORMATS: dict[str, Format] = {
    "capgen": Format(
        title="capgen data set",
        recognise=manifest.recognise,
        read=manifest.read,
    ),
    "flickr": Format(
        title="official Flickr8k or Flickr30k folder",
        recognise=flickr.recognise,
        read=flickr.read,
    ),
    "coco": Format(
        title="COCO captions JSON",
        recognise=coco.recognise,
        read=coco.read,
    ),
    "karpathy": Format(
        title="Karpathy JSON",
        recognise=karpathy.recognise,
        read=karpathy.read,
    ),
    "datasets": Format(
        title="directory saved by the `datasets` library",
        recognise=arrow.recognise,
        read=arrow.read,
    ),
    "imagefolder": Format(
        title="images with metadata.csv or metadata.jsonl",
        recognise=table.recognise_imagefolder,
        read=table.read_imagefolder,
    ),
    "table": Format(
        title="CSV, TSV or JSON Lines with a column of images and one of captions",
        recognise=table.recognise_table,
        read=table.read_table,
    ),
    "webdataset": Format(
        title="WebDataset tar shards",
        recognise=webdataset.recognise,
        read=webdataset.read,
    ),
    "sidecar": Format(
        title="images with .txt or .caption files",
        recognise=sidecar.recognise,
        read=sidecar.read,
    ),
}


def recognise(path: Path) -> str:
    """Return the name of the first format that a folder or file looks like.

    Raises:
        DataError: It is not there, or looks like none of them.
    """
    if not path.exists():
        raise DataError(f"No such file or folder: {path}")
    for name, candidate in FORMATS.items():
        if candidate.recognise(path) is not None:
            return name
    titles = "; ".join(candidate.title for candidate in FORMATS.values())
    raise DataError(
        f"{path} looks like no known layout of captions and images",
        hint=f"Known: {titles}. Choose one with --format.",
    )


def read_any(path: Path, options: ReadOptions, report: Report) -> tuple[str, Reading]:
    """Read a folder or file in whatever format it is in.

    A `..` in an image's path comes from the data: those of the caller's own paths are resolved.

    Returns:
        The format's name and what was read.

    Raises:
        DataError: It is not there, or in no known format, or cannot be read.
    """
    name = options.format or recognise(path)
    if name not in FORMATS:
        raise DataError(f"Unknown format {name!r}", hint=did_you_mean(name, FORMATS))
    if options.images is not None:
        options = dataclasses.replace(options, images=_without_parents(options.images))
    return name, FORMATS[name].read(_without_parents(path), options, report)


def _without_parents(path: Path) -> Path:
    """Return a path that says the same without `..`; others stay as they were given."""
    return path.resolve() if ".." in path.parts else path
