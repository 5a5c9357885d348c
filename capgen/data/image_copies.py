"""Copies of a data set's images in a folder of its own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import compress
from pathlib import Path, PurePosixPath

from capgen import paths
from capgen.cache_folders import is_cached
from capgen.data.download.unpack import check_space
from capgen.records import Example


def copy_images(
    examples: Sequence[Example], folder: Path, *, cached_only: bool = False
) -> Iterator[Example]:
    """Copy images into a folder, and yield each example with the path of its copy.

    Args:
        examples: The images.
        folder: The folder, made if it is needed.
        cached_only: Copy only what is in a cache, which the user may clear, such as images out
            of tar shards; the other examples are yielded as they are.
    """
    chosen = [not cached_only or is_cached(example.image) for example in examples]
    sizes = (example.image.stat().st_size for example in compress(examples, chosen))
    check_space(folder, sum(sizes), "copy the images")
    names: set[str] = set()
    for index, (example, copied) in enumerate(zip(examples, chosen, strict=True)):
        if not copied:
            yield example
            continue
        name = _file_name(example, index)
        if paths.folded(name) in names:
            name = f"{index:08d}{example.image.suffix}"
        names.add(paths.folded(name))
        target = folder / name
        with paths.storage_errors(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            _copy_file(example.image, target)
        yield replace(example, image=target)


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
