"""Folders named as kohya's trainers want them: `10_mydog` repeats its images ten times an epoch."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from capgen.data.formats.image_index import ImageIndex
from capgen.data.problems import Problem, Report

_NAME = re.compile(r"([1-9]\d{0,2})_.+")


def folder_repeats(images: ImageIndex, report: Report) -> Iterator[tuple[Path, int]]:
    """Yield each image with how often it comes in an epoch, and report it once per folder.

    Only if all images are in such folders, and the numbers are not just those of a list
    (`1_cats`, `2_dogs`, `3_birds`).
    """
    folders = sorted({path.parent for path in images.paths})
    found = {folder: _NAME.fullmatch(folder.name) for folder in folders}
    if images.root in folders or not all(found.values()):
        return
    repeats = {folder: int(match[1]) for folder, match in found.items() if match is not None}
    if _numbered(list(repeats.values())):
        return
    for folder, count in repeats.items():
        if count > 1:
            message = f"its name says that its images come {count} times in an epoch of training"
            report(Problem(code="images_repeated", message=message, file=folder))
    for path in images.paths:
        yield path, repeats[path.parent]


def _numbered(numbers: list[int]) -> bool:
    return len(numbers) > 2 and sorted(numbers) == list(range(1, len(numbers) + 1))
