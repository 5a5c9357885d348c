"""Captions that people accepted or wrote, in records of `capgen caption` and their reviews.

Rejected captions and those that nobody reviewed are left out and reported.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from capgen.data.formats.image_index import ImageIndex
from capgen.data.formats.reading import Collector, Reading, ReadOptions
from capgen.data.problems import Problem, Report
from capgen.errors import DataError
from capgen.records import Caption, Record
from capgen.reviews.journal import reviews_path
from capgen.reviews.places import ImagePlaces
from capgen.reviews.reviewed_records import read_reviewed

DESCRIPTION = "records of `capgen caption` with [reviews](#reviewed-captions)"

_JSON = (".json", ".jsonl", ".ndjson")
# A record that holds its review, and an edited line of a gallery's export (without blanks).
_REVIEWED = re.compile(rb'"review": ?\{ ?"verdict"|"original": ?"')
_RECORD = re.compile(rb'"path": ?["n].*"caption": ?["n]')


def is_reviewed(path: Path) -> bool:
    """Whether a file has records that are reviewed: in a journal beside it, or in itself."""
    if not path.is_file():
        return False
    if reviews_path(path).is_file():
        return True
    if path.suffix.lower() not in _JSON:
        return False
    with path.open("rb") as file:
        return any(_REVIEWED.search(line) and _RECORD.search(line) for line in file)


def read(root: Path, options: ReadOptions, report: Report) -> Reading:
    """Read records with their reviews.

    Relative paths start in the present folder, or beside the records.
    """
    records = read_reviewed(root)
    images = _Images(root, options)
    collector = Collector(report)
    for record in records:
        problem = _left_out(record, options)
        if problem is not None:
            code, message = problem
            report(Problem(code=code, message=message, file=root))
        elif isinstance(record, Caption):
            image = images.find(record)
            collector.caption(images.image_id(image), image, record.text, root)
    reading = collector.reading(reviews=_provenance(records))
    if not reading.entries:
        raise DataError(
            f"{root} has no caption that a person accepted or wrote",
            hint="Review some first, with `capgen review`.",
        )
    return reading


def _left_out(record: Record, options: ReadOptions) -> tuple[str, str] | None:
    """Return code and message of why a record is left out, or None."""
    name = record.path or "an image without a path"
    if not isinstance(record, Caption):
        malformed = record.code == "malformed"
        return ("malformed_line", record.message) if malformed else ("image_without_captions", name)
    if record.review is None:
        return "caption_unreviewed", name
    if not record.review.kept:
        return "caption_rejected", name
    if not record.path:
        return "image_missing", name
    if options.only == "edited" and record.review.verdict != "edited":
        return "caption_unedited", name
    return None


class _Images:
    """Finds the images of records, and names them."""

    def __init__(self, root: Path, options: ReadOptions) -> None:
        self._base = root.parent
        self._index = None if options.images is None else ImageIndex(options.images)
        self._places = ImagePlaces([Path(), root.parent])
        self._named: dict[str, Path] = {}

    def find(self, record: Record) -> Path:
        """Return where a record's image is, or should be."""
        path = record.path or ""
        found = self._places.find(path)
        if found is None and self._index is not None:
            return self._index.find(path)
        return found or self._base / path

    def image_id(self, image: Path) -> str:
        """Return an image's name: its file name where that is unique so far, else its path."""
        for name in (image.name, image.as_posix().lstrip("/")):
            if self._named.setdefault(name, image) == image:
                return name
        return str(image)


def _provenance(records: list[Record]) -> Mapping[str, Any]:
    """Return how many captions were accepted, edited, rejected and not reviewed, and by whom."""
    captions = [record for record in records if isinstance(record, Caption)]
    reviews = [caption.review for caption in captions if caption.review is not None]
    verdicts = Counter(review.verdict for review in reviews)
    return {
        **{verdict: verdicts[verdict] for verdict in ("accepted", "edited", "rejected")},
        "unreviewed": len(captions) - len(reviews),
        "by": dict(sorted(Counter(review.by for review in reviews if review.by).items())),
        "models": dict(sorted(Counter(one.model for one in captions if one.model).items())),
    }
