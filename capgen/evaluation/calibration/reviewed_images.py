"""Images whose captions people reviewed, to fit a confidence on what was right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from capgen.captioning.confidence.observe import Observation
from capgen.records import Caption
from capgen.reviews.journal import read_reviews, reviews_path
from capgen.reviews.judgement import Judgement, is_right, judgements
from capgen.reviews.places import ImagePlaces
from capgen.reviews.reviewed_records import read_records
from capgen.reviews.sampling import sample_order


@dataclass(frozen=True)
class ReviewedImages:
    """Images with a review of their captions.

    Attributes:
        records: The file of records.
        images: The images.
        judged: What reviews say about the caption of each.
    """

    records: Path
    images: tuple[Path, ...]
    judged: tuple[Judgement, ...]

    def right(self, observations: Sequence[Observation | None]) -> NDArray[np.float64]:
        """Return (n,) whether the captions that a model gives now are right: 1, 0, or NaN.

        NaN where there is none, or the reviews do not say, since the model says something else.
        """
        pairs = zip(self.judged, observations, strict=True)
        found = [None if seen is None else _right(one, seen.text) for one, seen in pairs]
        return np.array([np.nan if right is None else float(right) for right in found])

    def to_dict(self, right: NDArray[np.float64]) -> dict[str, Any]:
        """Return the JSON form for a fit's provenance; `right` is that of `right`."""
        return {
            "name": self.records.name,
            "reviewed": len(self.images),
            "used": int((~np.isnan(right)).sum()),
            "right": int(np.nansum(right)),
        }


def read_reviewed_images(records: Path, limit: int | None = None) -> ReviewedImages:
    """Read the images that were reviewed.

    Args:
        records: A file of records, whose reviews are beside it.
        limit: Only those among the first N of the random order (`capgen.reviews.sampling`).

    Raises:
        DataError: The file cannot be read, or holds something else.
    """
    judged = judgements(read_records(records), read_reviews(reviews_path(records)))
    captions = [one for one in judged if isinstance(one.record, Caption)]
    order = sample_order([one.record for one in captions])[:limit]
    chosen = [captions[place] for place in order if captions[place].review is not None]
    places = ImagePlaces([Path(), records.parent])
    images = (places.find(one.record.path) or Path(one.record.path or "") for one in chosen)
    return ReviewedImages(records, tuple(images), tuple(chosen))


def _right(one: Judgement, text: str) -> bool | None:
    assert isinstance(one.record, Caption) and one.review is not None
    said = one.record.raw or one.review.proposed
    return one.right if text == said else is_right(text, one.review)
