"""A data set ready for use: examples, splits and the digest that identifies them."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import capgen.data.installed as installed
from capgen.data.cache.file_hashes import hash_files
from capgen.data.confinement import Confinement
from capgen.data.download.catalog import DATASETS
from capgen.data.download.hub import fetch, hub_dataset, name_in_cache
from capgen.data.events import Finished
from capgen.data.formats import manifest, read_any
from capgen.data.formats.reading import Entry, Reading, ReadOptions
from capgen.data.problems import Problem, stopping
from capgen.data.split_assignment import OFFICIAL, assign_splits
from capgen.data.splits import SPLITS, SplitOptions
from capgen.data.usable_entries import usable_entries
from capgen.errors import DataError, UsageError, did_you_mean
from capgen.records import Example

TakeIn = Literal["all", "captions"]


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Images with captions, split by image.

    Attributes:
        name: Name for people and records.
        root: Folder or file it was read from.
        format: Key of `capgen.data.formats.FORMATS`.
        examples: Every image that has captions, by name.
        split_source: `official`, or how the split was drawn, including the seed.
        licence: Licence of the captions and images; empty if unknown.
        terms: What the source asks of users; empty if unknown.
        problems: What was left out on reading, and why.
        language: The captions' language as in BCP 47 (`en`, `pt-BR`); empty if unknown.
        undecided: Which of val and test the source does not assign.
        reviews: Of reviewed captions, how many have which verdict, by whom and of which models;
            None if they are from elsewhere.
    """

    name: str
    root: Path
    format: str
    examples: list[Example]
    split_source: str = OFFICIAL
    licence: str = ""
    terms: str = ""
    problems: list[Problem] = field(default_factory=list)
    language: str = ""
    undecided: frozenset[str] = frozenset()
    reviews: Mapping[str, Any] | None = None

    def split(self, name: str) -> list[Example]:
        """Return the examples of a split, by image name.

        Raises:
            UsageError: There is no split of that name.
            DataError: The data set has no image in that split.
        """
        if name not in SPLITS:
            raise UsageError(f"Unknown split {name!r}", hint=did_you_mean(name, SPLITS))
        chosen = [example for example in self.examples if example.split == name]
        if not chosen:
            counts = ", ".join(f"{split} ({count})" for split, count in self.counts.items())
            raise DataError(f"{self.name} has no images in split {name}", hint=f"It has {counts}.")
        return chosen

    @property
    def counts(self) -> dict[str, int]:
        """Images per split, without empty splits."""
        counted = Counter(example.split for example in self.examples)
        return {split: counted[split] for split in SPLITS if counted[split]}

    @property
    def captions(self) -> int:
        """The number of captions."""
        return sum(len(example.references) for example in self.examples)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over names, splits, captions and the images' bytes, as `sha256:HEX`.

        How often images come in an epoch counts, too, if it is more than once. The place and
        format of the data do not matter. The first call reads every image, later ones only
        images that have changed.
        """
        images = hash_files([example.image for example in self.examples])
        total = hashlib.sha256(b"capgen data set 1\n")
        for example, image in zip(self.examples, images, strict=True):
            repeats = () if example.repeats == 1 else (f"{example.repeats} times",)
            for text in (example.image_id, example.split, *example.references, *repeats):
                data = text.encode("utf-8", errors="surrogatepass")
                total.update(b"%d:%s," % (len(data), data))
            total.update(image + b"\n")
        return f"sha256:{total.hexdigest()}"


def load_dataset(
    path_or_name: str | Path,
    *,
    options: ReadOptions | None = None,
    splits: SplitOptions | None = None,
    take_in: TakeIn | None = None,
) -> Dataset:
    """Load a data set from a folder or file, or an installed one by name.

    Images that are missing or have no captions are left out and listed in `problems`.

    Args:
        path_or_name: A folder or file in any known format, the name of an installed set, or
            `hf:USER/NAME[/FOLDER][@REVISION]` for one on the Hub.
        options: What is known about the source, so that it need not be recognised.
        splits: How to split where the source does not.
        take_in: What will be copied: `all`, or only the `captions`. Leaves out files that are
            not images, and whatever would be copied from outside the data set's folder and
            `options.images`.

    Raises:
        DataError: It does not exist, is in no known format or is malformed; the message names
            file and line.
    """
    root = locate(path_or_name)
    return _load(root, options or ReadOptions(), splits or SplitOptions(), take_in)


def finished(dataset: Dataset, *, already: bool = False) -> Finished:
    """Return the event for an installed data set."""
    return Finished(
        name=dataset.name,
        folder=dataset.root,
        images=len(dataset.examples),
        captions=dataset.captions,
        splits=dataset.counts,
        already=already,
    )


def open_dataset(
    name: str | None,
    data_dir: Path | None,
    *,
    options: ReadOptions | None = None,
    splits: SplitOptions | None = None,
) -> Dataset:
    """Load the data set that `--dataset` and `--data-dir` ask for, as `load_dataset` does.

    `data_dir` is the data set's folder or file, or with a name, the folder that holds installed
    data sets.
    """
    if name is not None and (named := hub_dataset(name)) is not None:
        root = fetch(named)
    elif name is not None:
        root = installed.find(name, data_dir)
    elif data_dir is not None:
        root = locate(data_dir)
    else:
        raise UsageError(
            "No data set was named",
            hint="Give --dataset NAME (see `capgen data list`) or --data-dir PATH.",
        )
    store = None if name is None else data_dir
    return _load(root, options or ReadOptions(), splits or SplitOptions(), store=store)


def locate(path_or_name: str | Path, data_dir: Path | None = None) -> Path:
    """Return the folder of an installed data set by name, or a path as it is.

    A bare name that is both means the installed data set; `./NAME` is the path. `data_dir` is
    the folder that holds the installed data sets. A data set on the Hub (`hf:USER/NAME`) is
    downloaded.

    Raises:
        DataError: A bare name is neither, or the data set is not on the Hub.
    """
    named = hub_dataset(path_or_name)
    if named is not None:
        return fetch(named)
    path = Path(path_or_name)
    if isinstance(path_or_name, Path) or path.name != path_or_name:
        return path
    if path_or_name in installed.installed(data_dir) or not path.exists():
        return installed.find(path_or_name, data_dir)
    return path


def _load(
    root: Path,
    options: ReadOptions,
    splits: SplitOptions,
    take_in: TakeIn | None = None,
    *,
    store: Path | None = None,
) -> Dataset:
    problems: list[Problem] = []
    format_name, reading = read_any(root, options, stopping(problems))
    # A file may itself be a link; its images are beside the link.
    beside = root.parent if root.is_file() else None
    named = tuple(filter(None, (root, beside, options.images, reading.home)))
    copied = reading if take_in is None else _own(reading, named, take_in, problems)
    confinement = None if installed.holds(root, store) else Confinement(named)
    usable = usable_entries(copied, problems, root)
    name = name_in_cache(root.absolute()) or root.resolve().name
    spec = DATASETS.get(name)
    if format_name == "capgen":
        header = manifest.read_header(root)
    else:
        header = manifest.Header(
            name=name,
            licence=spec.licence if spec else "",
            terms=spec.terms if spec else "",
        )
    known = DATASETS.get(header.name)
    assignment = assign_splits(
        reading,
        (entry.image_id for entry in usable),
        splits,
        recorded=header.split_source if format_name == "capgen" else "",
    )
    return Dataset(
        name=header.name,
        root=root,
        format=format_name,
        examples=[
            _example(entry, assignment.splits[entry.image_id], confinement) for entry in usable
        ],
        split_source=assignment.source,
        licence=header.licence,
        terms=header.terms,
        problems=problems,
        language=header.language or (known.language if known else ""),
        undecided=assignment.undecided,
        reviews=header.reviews or reading.reviews,
    )


def _own(
    reading: Reading, named: Iterable[Path], take_in: TakeIn, problems: list[Problem]
) -> Reading:
    """Return a reading without what must not be copied."""
    confinement = Confinement(named, images_anywhere=take_in == "captions")
    entries = [confinement.allowed(entry, problems.append) for entry in reading.entries]
    return replace(reading, entries=tuple(filter(None, entries)))


def _example(entry: Entry, split: str, confinement: Confinement | None) -> Example:
    return Example(
        image_id=entry.image_id,
        image=entry.image,
        references=tuple(text.strip() for text in entry.captions if text.strip()),
        split=split,
        outside=confinement is not None and not confinement.holds(entry.image),
        repeats=entry.repeats,
    )
