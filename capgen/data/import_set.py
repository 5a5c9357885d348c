"""Import a data set of one's own: read it in any format and keep it under a name."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import capgen.data.installed as stores
from capgen import paths
from capgen.data.dataset import Dataset, finished, load_dataset
from capgen.data.download.hub import hub_dataset
from capgen.data.events import Event, Notice, Progress
from capgen.data.formats import manifest
from capgen.data.formats.reading import ReadOptions
from capgen.data.image_copies import copy_images
from capgen.data.splits import SplitOptions
from capgen.data.staging import staged
from capgen.data.usable_entries import OUTSIDE_HINT
from capgen.errors import DataError, UsageError
from capgen.locks import Lock
from capgen.records import Example

_SHOWN = 3
_LONGEST_NAME = 40


def name_of_source(source: Path) -> str:
    """Return the name for a data set whose user gives none: that of its folder or file.

    Raises:
        UsageError: No name can be made of it.
    """
    place = source.resolve()
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", place.stem if place.is_file() else place.name)
    name = name.strip(".-_")[:_LONGEST_NAME]
    if not paths.is_name(name) or not paths.works_everywhere(name):
        raise UsageError(
            f"No name for the data set can be made of {source}", hint="Give it one with --name."
        )
    return name


def import_dataset(
    source: Path,
    name: str,
    *,
    store: Path | None = None,
    options: ReadOptions | None = None,
    splits: SplitOptions | None = None,
    link: bool = False,
    language: str = "",
) -> Iterator[Event]:
    """Read a folder or file and install it under a name.

    Files that are not images, and files from outside the source's folder and `options.images`
    once links are followed, are left out with a notice. A copy is readable only by those who
    may read the original.

    Args:
        source: Folder or file in any known format, or `hf:USER/NAME` for one on the Hub.
        name: Name to install it under.
        store: Folder of the installed data sets.
        options: What is known about the source.
        splits: How to split where the source does not; recorded with the data set.
        link: Leave the images where they are, except those out of archives, which are only in
            the cache.
        language: The captions' language (`de`, `pt-BR`); by default what the source says.

    Yields:
        Progress, notices on what was left out, and finally a `Finished`.

    Raises:
        UsageError: The name or the language is not valid.
        DataError: The name is taken, or the source cannot be read.
        StorageError: There is no room for the copy.
    """
    if language and not manifest.LANGUAGE_TAG.fullmatch(language):
        raise UsageError(
            f"--language is '{language}'; it must be a BCP 47 tag", hint=manifest.LANGUAGE_HINT
        )
    place = stores.dataset_dir(name, store)
    lock = Lock(place.with_name(f".{place.name}.lock"), f"installing {name}")
    for message in lock.wait():
        yield Notice(message=message)
    with lock.held():
        if place.exists():
            raise DataError(
                f"A data set {name!r} already exists",
                hint=f"Choose another --name, or run: capgen data remove {name}",
            )
        dataset = load_dataset(
            Path(source), options=options, splits=splits, take_in="captions" if link else "all"
        )
        yield from left_out(dataset)
        if any(problem.code == "image_outside" for problem in dataset.problems):
            yield Notice(message=f"Images outside the data folder were left out. {OUTSIDE_HINT}")
        header = manifest.Header(
            name=name,
            source=str(source) if hub_dataset(source) else str(Path(source).resolve()),
            format=dataset.format,
            split_source=dataset.split_source,
            licence=dataset.licence,
            terms=dataset.terms,
            language=language or dataset.language,
            reviews=None if dataset.reviews is None else dict(dataset.reviews),
        )
        yield from _write(dataset, header, place, link=link)
    yield finished(replace(dataset, name=name, root=place))


def _write(
    dataset: Dataset, header: manifest.Header, place: Path, *, link: bool
) -> Iterator[Progress]:
    total = len(dataset.examples)
    with staged(place, "importing") as folder:
        examples: list[Example] = []
        originals = [_in_place(example) for example in dataset.examples]
        for example in copy_images(originals, folder / "images", cached_only=link):
            examples.append(example)
            if example.image.is_relative_to(folder):
                done = len(examples)
                yield Progress(
                    task="copy", item=dataset.name, done=done, total=total, unit="images"
                )
        manifest.write(folder / manifest.FILE_NAME, header, examples)


def left_out(dataset: Dataset) -> Iterator[Notice]:
    """Yield a notice per kind of problem that reading met."""
    by_title: dict[str, list[str]] = {}
    for problem in dataset.problems:
        by_title.setdefault(problem.kind.title, []).append(str(problem))
    for title, problems in by_title.items():
        more = f" and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        yield Notice(message=f"{title} ({len(problems)}): {'; '.join(problems[:_SHOWN])}{more}")


def _in_place(example: Example) -> Example:
    # Not resolve(): an image may be a link.
    return replace(example, image=Path(os.path.abspath(example.image)))  # noqa: PTH100
