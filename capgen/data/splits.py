"""Splits: the names that sources use, and seeded splits for sources without any.

Splitting is always by image, so that all captions of an image stay together.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from capgen.config import check_ranges, setting
from capgen.errors import UsageError

SPLITS = ("train", "val", "test", "none")
DRAWN = ("val", "test")
_USUAL_SHARE = 0.1

_NAMES = {
    **dict.fromkeys(("train", "training", "restval"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
    **dict.fromkeys(("none", ""), "none"),
}


def split_name(name: str) -> str | None:
    """Return capgen's name for a source's split (`dev` → `val`), or None if it is unknown."""
    return _NAMES.get(name.strip().lower())


def split_in(stem: str) -> str | None:
    """Return the split that a file's name speaks of, or None if it is none or several.

    A split is a word of its own: `train`, `coco_karpathy_train`, `captions_val2014`,
    `train-00000-of-00004`, not `trained`.
    """
    found = {split_name(word) for word in re.findall(r"[a-z]+", stem.lower())} & {*SPLITS[:3]}
    return found.pop() if len(found) == 1 else None


@dataclass(frozen=True, kw_only=True)
class SplitOptions:
    """How to split images where the source does not say.

    Raises:
        UsageError: A value is out of range, or no images would be left to train on.
    """

    PANEL: ClassVar[str] = "Split"

    split_seed: int = setting(0, "Seed of the split, recorded with the data set.", low=0)
    val_fraction: float | None = setting(
        None,
        "Share of the images for val, if the source does not assign it; "
        f"by default {_USUAL_SHARE}.",
        low=0.0,
        high=0.9,
    )
    test_fraction: float | None = setting(
        None,
        "Share of the images for test, if the source does not assign it; "
        f"by default {_USUAL_SHARE}, or 0 if the source assigns val.",
        low=0.0,
        high=0.9,
    )

    def __post_init__(self) -> None:
        check_ranges(self)
        if (self.val_fraction or 0) + (self.test_fraction or 0) >= 1:
            raise UsageError(
                f"--val-fraction {self.val_fraction} and --test-fraction {self.test_fraction}"
                " leave no images to train on"
            )

    def given(self, split: str) -> float | None:
        """Return the share that was given for val or test, or None."""
        return {"val": self.val_fraction, "test": self.test_fraction}[split]

    def share(self, split: str, *, drawn: bool) -> float:
        """Return the share of val or test; if none was given, the usual one if it is `drawn`."""
        given = self.given(split)
        if given is not None:
            return given
        return _USUAL_SHARE if drawn else 0.0


def seeded_split(
    image_ids: Iterable[str], shares: Mapping[str, float], options: SplitOptions
) -> dict[str, str]:
    """Return the split of each image: train, val or test.

    Images are ranked by SHA-256 of seed and name, so the result does not depend on their
    order, and the first shares of that ranking become val and test. A share above 0 gets at
    least one image if it was given, or if there are three images or more.

    Args:
        image_ids: Names of the images.
        shares: Shares of val and test.
        options: The seed, and which shares were given.

    Raises:
        UsageError: No images would be left to train on.
    """

    def rank(image_id: str) -> bytes:
        return hashlib.sha256(f"{options.split_seed}\0{image_id}".encode()).digest()

    ranked = sorted(set(image_ids), key=rank)
    names: list[str] = []
    for split, share in shares.items():
        given = options.given(split) is not None
        names += [split] * _count(len(ranked), share, given=given)
    if names and len(names) >= len(ranked):
        wanted = " and ".join(f"{share:g} for {split}" for split, share in shares.items() if share)
        raise UsageError(
            f"Too few training images ({len(ranked)}) for shares of {wanted}",
            hint="--val-fraction 0 --test-fraction 0 trains on all of them.",
        )
    names += ["train"] * (len(ranked) - len(names))
    return dict(zip(ranked, names, strict=True))


def _count(total: int, share: float, *, given: bool) -> int:
    if share == 0 or (total < 3 and not given):
        return 0
    return max(1, round(total * share))
