"""A data set ready for use: examples, splits and the digest that identifies them."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import capgen.data.installed as installed
from capgen.data.cache.file_hashes import hash_files
from capgen.data.confinement import Confinement
from capgen.data.download.catalog import DATASETS
from capgen.data.formats import manifest, read_any
from capgen.data.formats.reading import Entry, Reading, ReadOptions
from capgen.data.problems import Problem, stopping
from capgen.data.split_assignment import OFFICIAL, assign_splits
from capgen.data.splits import SPLITS, SplitOptions
from capgen.errors import DataError, UsageError, did_you_mean
from capgen.records import Example

TakeIn = Literal["all", "captions"]

_SHOWN = 300  # characters of a name in messages

OUTSIDE_HINT = "Name the folder of the images with --images."


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Images with captions, split by image.

    Attributes:
        name: Name for people and records.
        root: Folder or file it was read from.
        format: Key of `capgen.data.formats.FORMATS`.
        examples: Every image that has captions, by name.
        split_source: `official`, or how the split was drawn, seed included.
        licence: Licence of the captions and images, or an empty string if not known.
        terms: What the source asks of users, likewise.
        problems: What was left out on reading, and why.
        language: Of the captions, as in BCP 47 (`en`, `pt-BR`), or an empty string if not known.
        undecided: Of val and test, those that the source does not assign.
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

    def split(self, name: str) -> list[Example]:
        """Return the examples of a split, by image name.

        Raises:
            UsageError: No split goes by that name.
            DataError: The data set has no image in that split.
        """
        if name not in SPLITS:
            raise UsageError(f"Unknown split {name!r}", hint=did_you_mean(name, SPLITS))
        chosen = [example for example in self.examples if example.split == name]
        if not chosen:
            there = ", ".join(f"{split} ({count})" for split, count in self.counts.items())
            raise DataError(f"{self.name} has no images in split {name}", hint=f"It has {there}.")
        return chosen

    @property
    def counts(self) -> dict[str, int]:
        """Images in each split that has any."""
        counted = Counter(example.split for example in self.examples)
        return {split: counted[split] for split in SPLITS if counted[split]}

    @property
    def captions(self) -> int:
        """Captions in all."""
        return sum(len(example.references) for example in self.examples)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over names, splits, captions and the images' bytes, as `sha256:HEX`.

        Where the data lie and in which format does not matter; a changed caption, split or
        image does. The first call reads every image, later ones what has changed.
        """
        images = hash_files([example.image for example in self.examples])
        total = hashlib.sha256(b"capgen data set 1\n")
        for example, image in zip(self.examples, images, strict=True):
            fields = (example.image_id, example.split, *example.references)
            for text in fields:
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
        path_or_name: A folder or file in any known format, or the name of an installed set.
        options: What is known about the source; by default it is recognised by looking.
        splits: How to split where the source does not.
        take_in: It is going to be copied, or its captions are: what comes from outside its
            folder and `options.images`, and files that are not images by their content,
            are left out too.

    Raises:
        DataError: It is not there, in no known format or malformed; the message names
            file and line.
    """
    root = locate(path_or_name)
    return _load(root, options or ReadOptions(), splits or SplitOptions(), take_in)


def open_dataset(
    name: str | None,
    data_dir: Path | None,
    *,
    options: ReadOptions | None = None,
    splits: SplitOptions | None = None,
) -> Dataset:
    """Load the data set that `--dataset` and `--data-dir` ask for.

    Args:
        name: Name of an installed data set.
        data_dir: Without a name, the data set's folder or file; with one, the folder that
            holds installed data sets.
        options: As for `load_dataset`.
        splits: As for `load_dataset`.

    Raises:
        UsageError: Neither was given.
        DataError: As for `load_dataset`.
    """
    if name is None and data_dir is None:
        raise UsageError(
            "No data set was named",
            hint="Give --dataset NAME (see `capgen data list`) or --data-dir PATH.",
        )
    if name is not None:
        root = installed.find(name, data_dir)
    else:
        assert data_dir is not None
        root = data_dir
    return _load(root, options or ReadOptions(), splits or SplitOptions())


def locate(path_or_name: str | Path, data_dir: Path | None = None) -> Path:
    """Return the folder of an installed data set by name, or a path as it is.

    A bare name that is both is the installed data set; `./NAME` is the path.

    Args:
        path_or_name: What a user calls the data set.
        data_dir: Folder that holds the installed data sets.

    Raises:
        DataError: It is a bare name, and neither is there.
    """
    path = Path(path_or_name)
    if isinstance(path_or_name, Path) or path.name != path_or_name:
        return path
    if path_or_name in installed.installed(data_dir) or not path.exists():
        return installed.find(path_or_name, data_dir)
    return path


def _load(
    root: Path, options: ReadOptions, splits: SplitOptions, take_in: TakeIn | None = None
) -> Dataset:
    problems: list[Problem] = []
    format_name, reading = read_any(root, options, stopping(problems))
    if take_in is not None:
        reading = _own(reading, root, options, take_in, problems)
    header = manifest.read_header(root) if format_name == "capgen" else None
    spec = DATASETS.get(root.resolve().name) if header is None else None
    name = header.name if header else root.resolve().name
    usable = _usable_entries(reading, problems, root)
    assigned = assign_splits(
        reading,
        (entry.image_id for entry in usable),
        splits,
        recorded=header.split_source if header else "",
    )
    return Dataset(
        name=name,
        root=root,
        format=format_name,
        examples=[_example(entry, assigned.splits[entry.image_id]) for entry in usable],
        split_source=assigned.source,
        licence=header.licence if header else spec.licence if spec else "",
        terms=header.terms if header else spec.terms if spec else "",
        problems=problems,
        language=(header.language if header else "") or _known_language(name),
        undecided=assigned.undecided,
    )


def _own(
    reading: Reading, root: Path, options: ReadOptions, take_in: TakeIn, problems: list[Problem]
) -> Reading:
    """Return a reading without what must not be copied."""
    # A file may be a link itself: its images lie beside the link.
    named = (root, root.parent if root.is_file() else None, options.images, reading.home)
    confinement = Confinement(
        (folder for folder in named if folder is not None),
        images_anywhere=take_in == "captions",
    )
    entries = [confinement.allowed(entry, problems.append) for entry in reading.entries]
    return replace(reading, entries=tuple(entry for entry in entries if entry is not None))


def _known_language(name: str) -> str:
    """Return the language of a data set that capgen knows by name, or an empty string."""
    spec = DATASETS.get(name)
    return spec.language if spec is not None else ""


def _usable_entries(reading: Reading, problems: list[Problem], root: Path) -> list[Entry]:
    """Return the images that are there and have captions."""
    usable = [entry for entry in reading.entries if _usable(entry, problems)]
    problems += [
        Problem(code="image_without_captions", message="no caption names it", file=stray)
        for stray in reading.strays
    ]
    if not usable:
        first = f"; first: {problems[0]}" if problems else ""
        outside = any(problem.code == "image_outside" for problem in problems)
        hint = OUTSIDE_HINT if outside else ""
        raise DataError(f"{root} has no image with a caption{first}", hint=hint)
    return usable


def _example(entry: Entry, split: str) -> Example:
    return Example(
        image_id=entry.image_id,
        image=entry.image,
        references=tuple(text.strip() for text in entry.captions if text.strip()),
        split=split,
    )


def _usable(entry: Entry, problems: list[Problem]) -> bool:
    def note(code: str, message: str, caption: int | None = None) -> None:
        file, line = entry.lines[caption or 0] if entry.lines else (entry.image, None)
        problems.append(
            Problem(
                code=code,
                message=message,
                file=file,
                line=line,
                image_id=entry.image_id,
                caption=caption,
            )
        )

    if ".." in entry.image.parts:
        note("image_outside", f"{entry.image} leads out of the data folder")
        return False
    if not entry.has_image:
        name = str(entry.image)
        shown = name if len(name) <= _SHOWN else f"{name[:_SHOWN]}…"
        note("image_missing", f"image {shown} is missing")
        return False
    for index, text in enumerate(entry.captions):
        if not text.strip():
            note("caption_empty", f"empty caption of {entry.image_id}", index)
    return any(text.strip() for text in entry.captions)
