"""What every reader produces, and the builder that readers fill."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from capgen.data.problems import Problem, Report
from capgen.data.splits import SPLITS, split_name


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """What a caller knows about a source, so that it need not be recognised.

    Attributes:
        format: Name of the format (see `capgen.data.formats.FORMATS`).
        images: Folder of the images, if it is not where the format has it.
        image_column: Column of the image's name in tables.
        caption_column: Column of the captions in tables, or their key in the JSON of WebDataset
            and of sidecars.
        split_column: Column of the split in tables.
        only: Of reviewed captions, only those with this verdict: `edited`.
    """

    format: str | None = None
    images: Path | None = None
    image_column: str | None = None
    caption_column: str | None = None
    split_column: str | None = None
    only: str | None = None


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One image as its source has it, faults included.

    Attributes:
        image_id: Name of the image within its data set.
        image: Path where the image should be.
        captions: The captions as written.
        lines: File and line of each caption.
        split: capgen's split name, or None if the source does not say.
        repeats: How often the source wants the image in an epoch of training.
    """

    image_id: str
    image: Path
    captions: tuple[str, ...]
    lines: tuple[tuple[Path, int | None], ...]
    split: str | None
    repeats: int = 1

    @property
    def has_image(self) -> bool:
        """Whether the image's file exists."""
        # Path.is_file raises for names that are too long to be those of files.
        return os.path.isfile(self.image)  # noqa: PTH113

    def problem(self, code: str, message: str, caption: int | None = None) -> Problem:
        """Return a problem of this image, at the line of one of its captions."""
        file, line = self.lines[caption or 0] if self.lines else (self.image, None)
        return Problem(
            code=code,
            message=message,
            file=file,
            line=line,
            image_id=self.image_id,
            caption=caption,
        )


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What a reader found.

    Attributes:
        entries: The images with captions, by name.
        strays: Images that no caption names.
        has_splits: Whether the source assigns splits.
        home: The source's folder, if it is not the one that was named: its parent, or the
            cache folder into which images were extracted.
        reviews: Of reviewed captions, how many have which verdict, by whom and of which models.
    """

    entries: tuple[Entry, ...]
    strays: tuple[Path, ...] = ()
    has_splits: bool = False
    home: Path | None = None
    reviews: Mapping[str, Any] | None = None


@dataclass
class _Draft:
    image: Path
    captions: list[str] = field(default_factory=list)
    lines: list[tuple[Path, int | None]] = field(default_factory=list)


class Collector:
    """Gathers captions and splits by image, in any order, and makes a `Reading`.

    Args:
        report: Receives split conflicts and unknown split names.
    """

    def __init__(self, report: Report) -> None:
        self._report = report
        self._drafts: dict[str, _Draft] = {}
        self._splits: dict[str, tuple[str, Path, int | None]] = {}
        self._repeats: dict[str, int] = {}

    def caption(
        self, image_id: str, image: Path, text: str, file: Path, line: int | None = None
    ) -> None:
        """Add one caption of an image."""
        draft = self._drafts.setdefault(image_id, _Draft(image))
        draft.captions.append(text)
        draft.lines.append((file, line))

    def split(self, image_id: str, name: str, file: Path, line: int | None = None) -> None:
        """Assign an image to a split, by any name a source may use for it."""
        split = split_name(name)
        if split is None:
            message = f"unknown split {name!r}; known: {', '.join(SPLITS)}, dev, restval"
            self._tell("split_unknown_name", message, image_id, file, line)
            split = "none"
        first, *_ = self._splits.setdefault(image_id, (split, file, line))
        if first != split:
            message = f"{image_id} is in both {first} and {split}"
            self._tell("split_overlap", message, image_id, file, line)

    def repeats(self, image_id: str, repeats: int) -> None:
        """Say how often an image comes in an epoch of training."""
        self._repeats[image_id] = repeats

    def _tell(self, code: str, message: str, image_id: str, file: Path, line: int | None) -> None:
        self._report(Problem(code=code, message=message, file=file, line=line, image_id=image_id))

    def reading(
        self,
        *,
        images: Iterable[Path] = (),
        home: Path | None = None,
        reviews: Mapping[str, Any] | None = None,
    ) -> Reading:
        """Return what was gathered; `images` are all of the source, to find the strays."""
        for image_id, (_, file, line) in self._splits.items():
            if image_id not in self._drafts:
                message = f"{image_id} has no captions"
                self._tell("split_unknown_image", message, image_id, file, line)
        has_splits = any(split != "none" for split, *_ in self._splits.values())
        entries = tuple(
            Entry(
                image_id=image_id,
                image=draft.image,
                captions=tuple(draft.captions),
                lines=tuple(draft.lines),
                split=self._splits.get(image_id, ("none",))[0] if has_splits else None,
                repeats=self._repeats.get(image_id, 1),
            )
            for image_id, draft in sorted(self._drafts.items())
        )
        named = {entry.image for entry in entries}
        strays = tuple(sorted(path for path in images if path not in named))
        return Reading(
            entries=entries, strays=strays, has_splits=has_splits, home=home, reviews=reviews
        )
