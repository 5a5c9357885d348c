"""What installing, importing and caching tell while they run. The command line renders them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Some of a known or unknown amount is done.

    Attributes:
        task: What is being done: `download`, `verify`, `unpack`, `copy`, `decode`, `check`.
        item: The file or data set it is done to.
        done: Amount done so far, earlier runs included.
        total: Amount in all, or None if it is not known.
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
    """A data set is in place.

    Attributes:
        name: Its name.
        folder: Where it is.
        images: Images with captions.
        captions: Captions.
        splits: Images in each split.
        already: It was there before.
    """

    name: str
    folder: Path
    images: int
    captions: int
    splits: dict[str, int]
    already: bool = False


Event = Progress | Notice | Finished
