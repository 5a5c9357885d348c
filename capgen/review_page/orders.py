"""Orders of the list that need more than its rows: most gained first, most alike first."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from capgen.captioning.diversity import meaning
from capgen.records import Caption
from capgen.review_page.items import Item
from capgen.review_page.session import ReviewSession

# Of a caption without a confidence, nothing is known.
_UNKNOWN = 0.5
_SPACES = re.compile(r"\s+")


def by_gain(session: ReviewSession) -> list[int]:
    """Return all ids, those first whose review finds most wrong captions per look.

    Images with the same caption share a look, as the page can show and decide about them
    together. So an image that is not reviewed counts 1 − its confidence (the probability that its
    caption is wrong; 0.5 if unknown), times the images with its caption that are not reviewed and
    not before it in this order. Of equal captions, the least confident come first. Reviewed images
    are at the end.
    """
    waiting: dict[str, list[Item]] = defaultdict(list)
    unreviewed = session.left()
    for item in unreviewed:
        # Images without a caption have nothing in common.
        text = item.proposed
        same = f"\0{item.id}" if text is None else _SPACES.sub(" ", text).strip().casefold()
        waiting[same].append(item)
    gains: dict[int, float] = {}
    for group in waiting.values():
        group.sort(key=_chance_of_wrong, reverse=True)
        for place, item in enumerate(group):
            gains[item.id] = _chance_of_wrong(item) * (len(group) - place)
    ordered = sorted(gains, key=lambda number: (-gains[number], number))
    return ordered + [number for number in session.items.by_id if number not in gains]


class Likeness:
    """How alike images are, by what captions and concepts say; no image is decoded.

    Each image is a vector of the content words of its proposed caption and of its concepts (each
    weighing its probability). A word weighs log(N / images that have it) besides (tf-idf, Salton
    and Buckley 1988), so that "man" says less than "giraffe". The likeness of two images is the
    cosine of their vectors.

    Args:
        items: The images.
    """

    def __init__(self, items: Mapping[int, Item]) -> None:
        self._ids = np.array(list(items), dtype=np.int64)
        vectors = [_terms(item) for item in items.values()]
        frequency = Counter(term for vector in vectors for term in vector)
        self._vectors = [_weighted(vector, frequency, len(vectors)) for vector in vectors]
        self._rows = {number: row for row, number in enumerate(items)}
        self._holders = _holders(self._vectors)

    def order(self, number: int) -> list[int]:
        """Return all ids, those most like an image first; itself is the first."""
        alike = np.zeros(len(self._ids))
        for term, weight in self._vectors[self._rows[number]].items():
            rows, weights = self._holders[term]
            alike[rows] += weight * weights
        alike[self._rows[number]] = np.inf
        return self._ids[np.argsort(-alike, kind="stable")].tolist()


def _chance_of_wrong(item: Item) -> float:
    return 1.0 - (_UNKNOWN if item.confidence is None else item.confidence)


def _terms(item: Item) -> dict[str, float]:
    record = item.record
    concepts = record.concepts if isinstance(record, Caption) else ()
    terms = {concept.name: concept.probability for concept in concepts}
    return terms | dict.fromkeys(meaning(item.proposed or ""), 1.0)


def _weighted(
    vector: Mapping[str, float], frequency: Mapping[str, int], total: int
) -> dict[str, float]:
    """Return a vector of length 1 with the weights of its terms."""
    found = {term: value * math.log(total / frequency[term]) for term, value in vector.items()}
    length = math.hypot(*found.values()) if found else 0.0
    return {term: value / length for term, value in found.items() if value} if length else {}


def _holders(
    vectors: Iterable[Mapping[str, float]],
) -> dict[str, tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """Return for each term the images that have it, and its weights in them."""
    found: dict[str, tuple[list[int], list[float]]] = defaultdict(lambda: ([], []))
    for row, vector in enumerate(vectors):
        for term, weight in vector.items():
            found[term][0].append(row)
            found[term][1].append(weight)
    return {
        term: (np.array(rows, dtype=np.int64), np.array(weights))
        for term, (rows, weights) in found.items()
    }
