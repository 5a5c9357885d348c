"""Events of installing, importing and caching data sets, which the command line renders."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a task has come.

    Attributes:
        task: The task: `download`, `verify`, `unpack`, `copy`, `decode`, `check`.
        item: The file or data set it works on.
        done: Amount done so far, including earlier runs.
        total: Total amount, or None if unknown.
        unit: `bytes`, `files` or `images`.
    """

    task: str
    item: str
    done: int
    total: int | None
    unit: str = "bytes"


@dataclass(frozen=True, kw_only=True)
class Notice:
    """Something the user should know, in one line."""

    message: str


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A data set is installed.

    Attributes:
        name: Its name.
        folder: Where it is.
        images: Images with captions.
        captions: Number of captions.
        splits: Images per split.
        already: It was installed before.
    """

    name: str
    folder: Path
    images: int
    captions: int
    splits: dict[str, int]
    already: bool = False


Event = Progress | Notice | Finished
