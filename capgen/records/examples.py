"""An image of a data set with its captions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Example:
    """One image of a data set with its human captions.

    Attributes:
        image_id: Name of the image within its data set (for Flickr8k the file name).
        image: Path of the image.
        references: Human captions, as written in the source.
        split: `train`, `val`, `test` or `none`.
        outside: Whether the image lies outside the folder of a data set that is not installed.
            Any table or link can name such a file, so no page or tracker may show it.
        repeats: How often its source wants it in an epoch of training.
    """

    image_id: str
    image: Path
    references: tuple[str, ...]
    split: str
    outside: bool = False
    repeats: int = 1
