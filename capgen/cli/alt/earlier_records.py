"""Captions of earlier runs whose texts are in pages already: kept, and corrected where reviewed."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from capgen.alt_text.fill import image_key
from capgen.alt_text.site import Site
from capgen.alt_text.write_texts import Correction
from capgen.applying.choose import choose
from capgen.applying.locate import Locator
from capgen.captioning.batch.journal import journal_path
from capgen.config import ApplyOptions
from capgen.errors import DataError
from capgen.overwriting import real_place
from capgen.records import Caption, Record
from capgen.reviews.journal import ImageKey, Reviews
from capgen.reviews.reviewed_records import read_records, with_reviews


def earlier_records(records: Path, site: Site, asked: Collection[str]) -> list[Caption]:
    """Return the captions of earlier runs about images that pages still show with a text.

    A run writes only what it captioned. Without these nobody could review later what was written
    before.

    Args:
        records: The file of records; it need not exist.
        site: The pages.
        asked: Keys of the images that are captioned now (see `image_key`).
    """
    shown = {image_key(image) for image in site.images}.difference(asked)
    locator = Locator(records.parent, {})
    found: dict[tuple[str, str], Caption] = {}
    for file in (records, journal_path(records)):  # the latter of a run that was stopped
        for record in _read(file):
            key = record_key(record, locator)
            if isinstance(record, Caption) and key in shown:
                found[key, record.text] = record
    return list(found.values())


def corrections(
    records: Iterable[Caption], reviews: Reviews, only: str | None, locator: Locator
) -> dict[str, Correction]:
    """Return key of an image → what a person accepted or wrote instead of an earlier text.

    Args:
        records: The captions, without decisions.
        reviews: The decisions.
        only: See `AltFillOptions`; without it, what was accepted or edited.
        locator: Finds the images.
    """
    found: dict[str, Correction] = {}
    decided = choose(with_reviews(list(records), reviews), ApplyOptions(only=only or "accepted"))
    for record in decided.records:
        if isinstance(record, Caption) and record.review is not None:
            before = {record.review.proposed or ""}
            for decision in reviews.history(ImageKey.of(record)):
                before.add("" if decision.review is None else decision.review.caption)
            former = frozenset(" ".join(text.split()) for text in before if text.strip())
            found.setdefault(record_key(record, locator), Correction(record.text, former))
    return found


def record_key(record: Record, locator: Locator) -> str:
    """Return what tells a record's image from others, as `image_key` does."""
    file = locator.file(record)
    return (record.path or "") if file is None else real_place(file)


def _read(file: Path) -> list[Record]:
    try:
        return read_records(file) if file.is_file() else []
    except DataError:  # nothing to keep; what else it means is told where it is written
        return []
