"""A self-contained HTML page of random samples."""

from __future__ import annotations

import random
from pathlib import Path

from capgen.data.dataset import Dataset
from capgen.pages.page import write_page
from capgen.records import Example


def write_preview(
    dataset: Dataset, path: Path, *, samples: int = 24, seed: int = 0, split: str | None = None
) -> list[Example]:
    """Write an HTML page with random images and their captions; return the images.

    `split` limits the choice to one split.
    """
    pool = dataset.examples if split is None else dataset.split(split)
    chosen = random.Random(seed).sample(pool, min(samples, len(pool)))
    write_page(
        path,
        "preview.html",
        title=f"{dataset.name}: samples",
        samples=chosen,
        images=len(pool),
        seed=seed,
        licence=dataset.licence,
    )
    return chosen
