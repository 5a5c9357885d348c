"""An HTML page of random samples, in one file that needs nothing else."""

from __future__ import annotations

import random
from pathlib import Path

from capgen.data.dataset import Dataset
from capgen.pages.page import write_page
from capgen.records import Example


def write_preview(
    dataset: Dataset, path: Path, *, samples: int = 24, seed: int = 0, split: str | None = None
) -> list[Example]:
    """Write a page with random images and their captions.

    Args:
        dataset: The data set.
        path: The HTML file to write.
        samples: How many images.
        seed: Seed of the choice.
        split: Choose from this split only.

    Returns:
        The images that were chosen.

    Raises:
        DataError: The split is empty.
        ProtectedFileError: There is a file that is not a web page.
        StorageError: The file cannot be written.
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
