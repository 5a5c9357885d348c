"""Copies of a data set's images in a folder of its own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from capgen import paths
from capgen.data.cache.folders import is_cached
from capgen.data.download.unpack import check_space
from capgen.data.events import Progress
from capgen.records import Example


def copy_images(
    examples: Sequence[Example], folder: Path, item: str, *, cached_only: bool = False
) -> Generator[Progress, None, list[Example]]:
    """Copy images into a folder and return the examples that point to the copies.

    Args:
        examples: The images.
        folder: The folder, made if it is needed.
        item: The data set's name in progress events.
        cached_only: Copy only what is in a cache, which the user may clear, such as images out
            of tar shards.

    Raises:
        StorageError: There is no room for the copies.
    """
    chosen = {e.image_id for e in examples if not cached_only or is_cached(e.image)}
    sizes = (e.image.stat().st_size for e in examples if e.image_id in chosen)
    check_space(folder, sum(sizes), "copy the images")
    copies = []
    names: set[str] = set()
    for index, example in enumerate(examples):
        if example.image_id not in chosen:
            copies.append(example)
            continue
        name = _file_name(example, index)
        if paths.folded(name) in names:
            name = f"{index:08d}{example.image.suffix}"
        names.add(paths.folded(name))
        target = folder / name
        with paths.storage_errors(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            _copy_file(example.image, target)
        copies.append(replace(example, image=target))
        yield Progress(task="copy", item=item, done=len(names), total=len(chosen), unit="images")
    return copies


def _copy_file(source: Path, target: Path) -> None:
    with source.open("rb") as original:
        mode = os.fstat(original.fileno()).st_mode
        with paths.create(target, mode) as copy:
            shutil.copyfileobj(original, copy, 1 << 18)


def _file_name(example: Example, index: int) -> str:
    """Return an image's name if it is safe as a file name, else its number."""
    name = PurePosixPath(example.image_id)
    if all(map(paths.works_everywhere, name.parts)) and name.suffix and str(name).isprintable():
        return str(name)
    return f"{index:08d}{example.image.suffix}"
