"""Splits: the names that sources use, and seeded splits for sources without any.

Splitting is always by image, so that all captions of an image stay together.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from capgen.config import check_ranges, setting
from capgen.errors import UsageError

SPLITS = ("train", "val", "test", "none")

_NAMES = {
    **dict.fromkeys(("train", "training", "restval"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
    **dict.fromkeys(("none", ""), "none"),
}


def split_name(name: str) -> str | None:
    """Return capgen's name for a source's split (`dev` → `val`), or None if it is unknown."""
    return _NAMES.get(name.strip().lower())


@dataclass(frozen=True, kw_only=True)
class SplitOptions:
    """How to split images where the source does not say.

    Raises:
        UsageError: A value is out of range, or no images would be left to train on.
    """

    PANEL: ClassVar[str] = "Split"

    split_seed: int = setting(0, "Seed of the split, recorded with the data set.", low=0)
    val_fraction: float = setting(0.1, "Share of the images for val.", low=0.0, high=0.9)
    test_fraction: float = setting(0.1, "Share of the images for test.", low=0.0, high=0.9)

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.val_fraction + self.test_fraction >= 1:
            raise UsageError(
                f"--val-fraction {self.val_fraction} and --test-fraction {self.test_fraction}"
                " leave no images to train on"
            )

    def __str__(self) -> str:
        return f"seeded ({self.split_seed}; val {self.val_fraction}, test {self.test_fraction})"


def seeded_split(image_ids: Iterable[str], options: SplitOptions) -> dict[str, str]:
    """Return the split of each image: train, val or test.

    Images are ranked by SHA-256 of seed and name, so the result does not depend on their
    order, and the first shares of that ranking become val and test. A share above 0 gets at
    least one image if there are three or more.
    """

    def rank(image_id: str) -> bytes:
        return hashlib.sha256(f"{options.split_seed}\0{image_id}".encode()).digest()

    ranked = sorted(set(image_ids), key=rank)
    val = _count(len(ranked), options.val_fraction)
    test = _count(len(ranked), options.test_fraction)
    names = ["val"] * val + ["test"] * test
    names += ["train"] * (len(ranked) - len(names))
    return dict(zip(ranked, names, strict=True))


def _count(total: int, fraction: float) -> int:
    if fraction == 0 or total < 3:
        return 0
    return max(1, round(total * fraction))
