"""Writes chosen captions into images and beside them, and passes their records on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from capgen.applying.locate import Located, Locator
from capgen.config import ImageLimits
from capgen.errors import ImageError
from capgen.images.decoders import printable
from capgen.images.load import load_image
from capgen.images.thumbnails import THUMBNAIL_SIDE, thumbnail
from capgen.output.beside import BesideWriters, with_problem
from capgen.overwriting import real_place
from capgen.records import Caption, CaptionFailure, Record


@dataclass(frozen=True, kw_only=True)
class Applied:
    """What became of one record.

    Attributes:
        record: The record; its error says why it was not written into the image or beside it.
        image: Its file, if that is still what was captioned; None if it was not asked for, or if
            another record of the image is the one to write.
        problems: One line for each thing that went wrong, with its hint.
        repeated: Whether the same image has another record, whose caption was written instead.
        kept: Whether it is written nowhere, because what is there stays.
        already: Whether it was before wherever else than in a file it is to be.
        thumbnail: A small WebP of the image, if it was asked for and could be made.
    """

    record: Record
    image: Path | None = None
    problems: tuple[tuple[str, str], ...] = ()
    repeated: bool = False
    kept: bool = False
    already: bool = False
    thumbnail: bytes | None = None


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where captions are written besides a file of records.

    Attributes:
        beside: Into images and sidecars, or None.
        images: Whether the images' files are needed, too.
        thumbnails: Make a small copy of every image.
        limits: The largest image to decode.
    """

    beside: BesideWriters | None = None
    images: bool = False
    thumbnails: bool = False
    limits: ImageLimits = field(default_factory=ImageLimits)

    @property
    def write(self) -> bool:
        """Whether anything is written that needs the images."""
        return self.beside is not None or self.images


def apply_records(records: Sequence[Record], locator: Locator, places: Places) -> Iterator[Applied]:
    """Write captions, in their order.

    Of several records of one image the first that a person decided about is written, else the
    first.

    Yields:
        An `Applied` for each record.

    Raises:
        StorageError: No space is left, or the undo file cannot be written.
    """
    winners = _winners(records, locator) if places.write else {}
    for place, record in enumerate(records):
        if isinstance(record, CaptionFailure):
            problems = ((record.message, record.hint),) if record.code == "malformed" else ()
            yield Applied(record=record, problems=problems)
        elif not record.text.strip():  # nothing to write, and no reason to empty what is there
            yield Applied(record=record, thumbnail=_small(record, locator, places))
        elif place in winners and winners[place] != place:
            yield Applied(record=record, repeated=True, thumbnail=_small(record, locator, places))
        else:
            yield _apply(record, locator, places)


def _apply(record: Caption, locator: Locator, places: Places) -> Applied:
    small = _small(record, locator, places)
    if not places.write:
        return Applied(record=record, thumbnail=small)
    located = locator.locate(record)
    if located.problem is not None:
        what = located.problem
        if places.beside is not None:
            record = with_problem(record, what.code, what.message, what.hint)
        return Applied(record=record, problems=((what.message, what.hint),), thumbnail=small)
    return _write(record, located, places, small)


def _write(record: Caption, located: Located, places: Places, small: bytes | None) -> Applied:
    written: Record = record
    problems: list[str] = []
    kept = already = False
    assert located.file is not None
    if places.beside is not None:
        wrote = places.beside.write(written, located.file, printable(located.file))
        written = wrote.record
        problems += wrote.problems.values()
        kept = not (wrote.written or places.images or problems)
        already = wrote.already and not places.images
    told = tuple((problem, "") for problem in problems)
    return Applied(
        record=written,
        image=located.file,
        problems=told,
        kept=kept,
        already=already,
        thumbnail=small,
    )


def _winners(records: Sequence[Record], locator: Locator) -> dict[int, int]:
    """Return, for each caption of an image that is there, the place of the one to write."""
    best: dict[str, int] = {}
    images: dict[int, str] = {}
    for place, record in enumerate(records):
        has_text = isinstance(record, Caption) and bool(record.text.strip())
        file = locator.file(record) if has_text else None
        if file is None:
            continue
        images[place] = image = real_place(file)
        other = records[best.setdefault(image, place)]
        if isinstance(record, Caption) and record.reviewed and not _reviewed(other):
            best[image] = place
    return {place: best[image] for place, image in images.items()}


def _reviewed(record: Record) -> bool:
    return isinstance(record, Caption) and record.reviewed


def _small(record: Caption, locator: Locator, places: Places) -> bytes | None:
    file: Path | None = locator.file(record) if places.thumbnails else None
    if file is None:
        return None
    side = (THUMBNAIL_SIDE, THUMBNAIL_SIDE)
    try:
        return thumbnail(load_image(file, limits=places.limits, size_hint=side).image)
    except (ImageError, MemoryError):
        return None  # the gallery shows that there is none
