"""Write what is left of a data set once its problems are removed.

The source is never changed: the result is a manifest that names the images where they are.
Images out of archives, which only the cache has, are copied beside the manifest.
"""

from __future__ import annotations

import shutil
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

from capgen.cache_folders import is_cached
from capgen.data.checks.captions import clean_caption
from capgen.data.checks.check import Diagnosis
from capgen.data.download.hub import name_in_cache
from capgen.data.formats import manifest
from capgen.data.formats.reading import Entry
from capgen.data.image_copies import copy_images
from capgen.data.problems import PROBLEMS
from capgen.errors import DataError, UsageError
from capgen.overwriting import OWN_MANIFEST, check_output
from capgen.paths import storage_errors
from capgen.records import Example

_ORIGINAL = "capgen-dataset.original.jsonl"


@dataclass(frozen=True, kw_only=True)
class Fixed:
    """What `--fix` did.

    Attributes:
        path: The manifest.
        images: Images it has.
        captions: Captions it has.
        dropped_pictures: Images left out, including those without captions.
        dropped_captions: Captions left out, including those of dropped images and lines that
            cannot be read.
        cleaned_captions: Captions changed.
    """

    path: Path
    images: int
    captions: int
    dropped_pictures: int
    dropped_captions: int
    cleaned_captions: int


def write_fixed(diagnosis: Diagnosis, path: Path | None = None) -> Fixed:
    """Write a manifest without the problems that can be fixed.

    An existing manifest is kept as `capgen-dataset.original.jsonl`.

    Args:
        diagnosis: What the doctor found.
        path: The manifest to write; by default `capgen-dataset.jsonl` in the data set's folder,
            which is from then on read by it, or `NAME.clean.jsonl` beside its file.

    Raises:
        DataError: Nothing would be left.
        UsageError: The data set is in Hugging Face's cache, and no path was given.
        ProtectedFileError: `path` is a file that is not a manifest.
        StorageError: It cannot be written.
    """
    root = diagnosis.root
    if path is None and name_in_cache(root.absolute()):
        raise UsageError(
            "A data set of the Hub is not changed where it is kept", hint="Name a file with -o."
        )
    default = root / manifest.FILE_NAME if root.is_dir() else root.with_suffix(".clean.jsonl")
    path = path or default
    if path != manifest.manifest_file(root):  # which is kept
        check_output(path, OWN_MANIFEST)
    examples, cleaned = _clean_examples(diagnosis)
    if not examples:
        raise DataError(f"Nothing would be left of {root}: no manifest was written")
    if diagnosis.format == "capgen":
        header = manifest.read_header(root)
    else:
        place = root.resolve()
        header = manifest.Header(name=place.stem, source=str(place), format=diagnosis.format)
    header = replace(header, split_source=diagnosis.split_source)
    original = path.with_name(_ORIGINAL)
    if path.exists() and not original.exists():
        with storage_errors(original):
            shutil.copyfile(path, original)
    manifest.write(path, header, _kept(examples, path))
    entries = diagnosis.reading.entries
    captions = sum(len(example.references) for example in examples)
    read = sum(len(entry.captions) for entry in entries)
    return Fixed(
        path=path,
        images=len(examples),
        captions=captions,
        dropped_pictures=len(entries) - len(examples) + len(diagnosis.reading.strays),
        dropped_captions=read - captions + _never_read(diagnosis),
        cleaned_captions=cleaned,
    )


def _kept(examples: list[Example], path: Path) -> list[Example]:
    """Return the examples with copies of the images that only the cache has."""
    if not any(is_cached(example.image) for example in examples):
        return examples
    folder = path.with_suffix(".images")
    if folder.exists():
        raise DataError(f"Cannot copy images to {folder}: it exists", hint="Move it away.")
    return list(copy_images(examples, folder, cached_only=True))


def _clean_examples(diagnosis: Diagnosis) -> tuple[list[Example], int]:
    """Return the examples that are left, and how many captions were changed."""
    actions: dict[str, set[str]] = defaultdict(set)
    dropped: dict[str, set[int]] = defaultdict(set)
    for problem in diagnosis.problems:
        if problem.image_id is None:
            continue
        fix = PROBLEMS[problem.code].fix
        actions[problem.image_id].add(fix)
        if fix == "drop_caption" and problem.caption is not None:
            dropped[problem.image_id].add(problem.caption)
    examples: list[Example] = []
    cleaned = 0
    for entry in diagnosis.reading.entries:
        if "drop_image" in actions[entry.image_id]:
            continue
        kept, changed = _captions(entry, dropped[entry.image_id])
        cleaned += changed
        if not kept:
            continue
        split = diagnosis.splits[entry.image_id]
        if "unassign" in actions[entry.image_id]:
            split = "none"
        examples.append(
            Example(
                image_id=entry.image_id,
                image=entry.image,
                references=kept,
                split=split,
                repeats=entry.repeats,
            )
        )
    return examples, cleaned


def _never_read(diagnosis: Diagnosis) -> int:
    """Return how many captions are left out because no reader could take them."""
    return sum(
        PROBLEMS[problem.code].fix == "drop_caption" and problem.caption is None
        for problem in diagnosis.problems
    )


def _captions(entry: Entry, dropped: set[int]) -> tuple[tuple[str, ...], int]:
    """Return the captions that stay, cleaned, and how many of them changed."""
    texts = [text for index, text in enumerate(entry.captions) if index not in dropped]
    cleaned = [(clean, clean != text) for text in texts if (clean := clean_caption(text))]
    return tuple(clean for clean, _ in cleaned), sum(changed for _, changed in cleaned)
