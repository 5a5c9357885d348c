"""Images that occur twice: the same bytes, or nearly the same image in two splits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from capgen.data.checks.images import HASH_BITS, Examination
from capgen.data.problems import Problem

# Two images are taken for nearly the same if at most so many of the 64 bits differ, and
# the grey levels of their 32 × 32 thumbnails by no more than this on average once brightness
# and contrast are made equal.
MOST_BITS = 10
MOST_DIFFERENCE = 12.0
_ROWS = 2048


def find_duplicates(
    examined: Sequence[Examination], splits: Mapping[str, str]
) -> Iterator[Problem]:
    """Yield pairs of byte-identical images and of near-duplicates across splits.

    Args:
        examined: The images.
        splits: Split of each image by name.
    """
    same: dict[str, list[Examination]] = defaultdict(list)
    for one in examined:
        if one.sha256:
            same[one.sha256].append(one)
    for group in same.values():
        first = group[0]
        for other in group[1:]:
            pair = (splits[first.entry.image_id], splits[other.entry.image_id])
            if pair[0] != pair[1] and "none" in pair:
                continue  # one of them is in no split: nothing leaks
            code = "image_duplicate" if pair[0] == pair[1] else "image_duplicate_across"
            yield _problem(code, "the same bytes as", first, other, pair)
    yield from _near(examined, splits)


def _near(examined: Sequence[Examination], splits: Mapping[str, str]) -> Iterator[Problem]:
    groups: dict[str, list[Examination]] = defaultdict(list)
    for one in examined:
        if one.fingerprint is not None and splits[one.entry.image_id] != "none":
            groups[splits[one.entry.image_id]].append(one)
    names = [name for name in ("train", "val", "test") if name in groups]
    for index, name in enumerate(names):
        for other in names[index + 1 :]:
            for first, second in _close_pairs(groups[name], groups[other]):
                if first.sha256 != second.sha256:
                    message = "nearly the same image as"
                    code = "image_near_duplicate_across"
                    yield _problem(code, message, first, second, (name, other))


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
    bits = np.stack([one.fingerprint for one in examined if one.fingerprint is not None])
    return np.where(bits, np.float32(1), np.float32(-1))


def _difference(one: Examination, other: Examination) -> float:
    return float(np.abs(_normal(one) - _normal(other)).mean())


def _normal(one: Examination) -> NDArray[np.float32]:
    """Return the thumbnail with mean 0 and deviation 50 (0 for an image of one colour)."""
    assert one.thumbnail is not None
    grey = one.thumbnail.astype(np.float32)
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
