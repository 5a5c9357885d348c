"""Images that occur twice: the same bytes, or nearly the same image in two splits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from capgen.data.checks.images import HASH_BITS, Examination
from capgen.data.problems import Problem

# Two images count as near-duplicates if at most this many of their 64 hash bits differ, and
# the grey levels of their 32 × 32 thumbnails differ by no more than this on average once
# brightness and contrast are made equal.
MOST_BITS = 10
MOST_DIFFERENCE = 12.0
_ROWS = 2048


def find_duplicates(examined: Sequence[Examination], splits: dict[str, str]) -> Iterator[Problem]:
    """Yield byte-identical images, and near-duplicates across splits (`splits` is by name)."""
    same: dict[str, list[Examination]] = defaultdict(list)
    for image in examined:
        if image.sha256:
            same[image.sha256].append(image)
    for first, *others in same.values():
        for other in others:
            pair = (splits[first.entry.image_id], splits[other.entry.image_id])
            if pair[0] != pair[1] and "none" in pair:
                continue  # one of them is in no split: nothing leaks
            code = "image_duplicate" if pair[0] == pair[1] else "image_duplicate_across"
            yield _problem(code, "the same bytes as", first, other, pair)
    yield from _near(examined, splits)


def _near(examined: Sequence[Examination], splits: dict[str, str]) -> Iterator[Problem]:
    groups: dict[str, list[Examination]] = defaultdict(list)
    for image in examined:
        if image.fingerprint is not None and splits[image.entry.image_id] != "none":
            groups[splits[image.entry.image_id]].append(image)
    names = [name for name in ("train", "val", "test") if name in groups]
    for pair in combinations(names, 2):
        for first, second in _close_pairs(groups[pair[0]], groups[pair[1]]):
            if first.sha256 != second.sha256:
                code = "image_near_duplicate_across"
                yield _problem(code, "nearly the same image as", first, second, pair)


def _close_pairs(
    left: Sequence[Examination], right: Sequence[Examination]
) -> Iterator[tuple[Examination, Examination]]:
    bits_right = _signs(right)
    for start in range(0, len(left), _ROWS):
        rows = left[start : start + _ROWS]
        # With bits as ±1 the inner product is 64 − 2 × the bits that differ.
        products = _signs(rows) @ bits_right.T
        for i, j in np.argwhere(products >= HASH_BITS - 2 * MOST_BITS):
            if _difference(rows[i], right[j]) <= MOST_DIFFERENCE:
                yield rows[i], right[j]


def _signs(examined: Sequence[Examination]) -> NDArray[np.float32]:
    bits = np.stack([image.fingerprint for image in examined if image.fingerprint is not None])
    return np.where(bits, np.float32(1), np.float32(-1))


def _difference(first: Examination, second: Examination) -> float:
    return float(np.abs(_normalized(first) - _normalized(second)).mean())


def _normalized(image: Examination) -> NDArray[np.float32]:
    """Return the thumbnail with mean 0 and deviation 50 (0 for an image of one colour)."""
    assert image.thumbnail is not None
    grey = image.thumbnail.astype(np.float32)
    deviation = float(grey.std())
    return (grey - grey.mean()) * (50.0 / deviation if deviation > 1 else 0.0)


def _problem(
    code: str, message: str, first: Examination, other: Examination, splits: tuple[str, str]
) -> Problem:
    return Problem(
        code=code,
        message=f"{message} {first.entry.image_id} ({splits[0]}; this one: {splits[1]})",
        file=other.entry.image,
        image_id=other.entry.image_id,
    )
