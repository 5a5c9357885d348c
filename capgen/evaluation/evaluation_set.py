"""What captions are scored against: images with references, from a data set or a COCO file."""

from __future__ import annotations

import dataclasses
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from capgen.data.cache.file_hashes import hash_files
from capgen.data.confinement import Confinement
from capgen.data.dataset import Dataset, open_dataset
from capgen.data.formats.image_index import ImageIndex, base_name
from capgen.data.import_set import left_out
from capgen.data.mixture import open_mixture
from capgen.errors import DataError, UsageError
from capgen.evaluation.caption_files import (
    SUFFIXES,
    CaptionFile,
    caption_items,
    image_name,
    read_caption_file,
    read_content,
)
from capgen.metrics.corpus import some_images
from capgen.metrics.language import known_captions
from capgen.records import Example


@dataclass(frozen=True, kw_only=True)
class EvaluationSet:
    """The images of a split with their references.

    Attributes:
        name: Name of the data set, or of the file of references.
        split: The split, or an empty string where a file of references is the whole set.
        pool: All images of the split.
        limit: Use only the first `limit` images of the pool; None for all.
        origin: What identifies the references in reports: `digest` and `split_source` of a
            data set, or `file` and `sha256`.
        training: Captions of the train split, to determine which predictions are novel.
        notes: What was left out when the data set was read, as sentences.
        numbered: Whether the references are lines without names of images.
        language: The captions' language as in BCP 47; empty if unknown.
    """

    name: str
    split: str
    pool: tuple[Example, ...] = field(repr=False)
    limit: int | None = None
    origin: Mapping[str, Any] = field(default_factory=dict)
    training: tuple[str, ...] = field(default=(), repr=False)
    notes: tuple[str, ...] = ()
    numbered: bool = False
    language: str = ""

    @property
    def examples(self) -> tuple[Example, ...]:
        """The images to evaluate on."""
        return self.pool[: self.limit]

    @cached_property
    def by_id(self) -> dict[str, Example]:
        """`examples`, by image id."""
        return {example.image_id: example for example in self.examples}

    @cached_property
    def texts(self) -> list[str]:
        """The references of all `examples`."""
        return [text for example in self.examples for text in example.references]

    @cached_property
    def known(self) -> frozenset[str] | None:
        """The training captions as `capgen.metrics.language` compares them, or None."""
        return known_captions(self.training) if self.training else None

    def limited(self, limit: int | None) -> EvaluationSet:
        """Return the same set with another limit."""
        return dataclasses.replace(self, limit=limit)

    def find(self, name: str) -> str | None:
        """Return the id of the image that a predictions file calls `name`, or None.

        Tried in this order: the image's id, its file name, its file name without suffix, and
        the number at the end of a name such as COCO_val2014_000000391895.jpg. A form that
        several images share is skipped.
        """
        matches = (table.get(normalize(name)) for normalize, table in self._name_tables)
        return next((image_id for image_id in matches if image_id is not None), None)

    @cached_property
    def _name_tables(self) -> list[tuple[Callable[[str], str], dict[str, str]]]:
        return [(form, _unique(form, self.pool)) for form in (str, _base, _stem, number_in)]

    def to_dict(self) -> dict[str, Any]:
        """Return what identifies the set, as built-in types."""
        return {
            "name": self.name,
            "split": self.split,
            "images": len(self.examples),
            "limit": self.limit,
            **self.origin,
        }


def evaluation_set(
    dataset: str | None = None,
    data_dir: Path | None = None,
    *,
    split: str = "test",
    references: Path | None = None,
    limit: int | None = None,
) -> EvaluationSet:
    """Open a split of a data set, or a file of references.

    Args:
        dataset: Name of an installed data set.
        data_dir: A data set's folder or file; with `references`, the folder of the images.
        split: Split of the data set.
        references: A file of captions instead of a data set; see `read_references`.
        limit: Use only the first `limit` images.
    """
    if references is None:
        return from_dataset(open_dataset(dataset, data_dir), split).limited(limit)
    folder = data_dir if dataset is None else open_dataset(dataset, data_dir).root
    return read_references(references, folder).limited(limit)


def evaluation_sets(
    datasets: Sequence[str] | None,
    data_dirs: Sequence[Path] | None,
    *,
    split: str,
    limit: int | None = None,
) -> list[EvaluationSet]:
    """Open the same split of one or several data sets, given as for training.

    With a `limit`, only the first images of each are used.
    """
    members = open_mixture(datasets, data_dirs).members
    if any(member.weight != 1 for member in members):
        raise UsageError("Data sets can be weighted for training only")
    return [from_dataset(member.dataset, split).limited(limit) for member in members]


def from_dataset(dataset: Dataset, split: str) -> EvaluationSet:
    """Return a split of a data set."""
    training = () if split == "train" or "train" not in dataset.counts else dataset.split("train")
    return EvaluationSet(
        name=dataset.name,
        split=split,
        pool=tuple(dataset.split(split)),
        origin={"digest": dataset.digest, "split_source": dataset.split_source},
        training=tuple(caption for example in training for caption in example.references),
        notes=tuple(notice.message for notice in left_out(dataset)),
        language=dataset.language,
    )


def read_references(path: Path, folder: Path | None = None) -> EvaluationSet:
    """Read references from a file.

    Args:
        path: A COCO captions JSON (`images` and `annotations`), an object of image id →
            captions (also `gts` of pycocoevalcap), or another form that
            `capgen.evaluation.caption_files` reads.
        folder: The folder of the images. Only reports need them to be there.

    Raises:
        DataError: The file is malformed, or an image has no captions.
    """
    captions, files, numbered = _captions(path)
    uncaptioned = [image_id for image_id in files if not captions.get(image_id)]
    if uncaptioned:
        raise DataError(
            f"{path}: there are no captions of {some_images(uncaptioned)}",
            hint="Remove them from `images`, or add their captions.",
        )
    if not captions:
        raise DataError(f"{path} has no captions")
    confinement = Confinement([path.parent if folder is None else folder])
    index = ImageIndex(folder) if folder is not None and folder.is_dir() else None
    find = Path if index is None else index.find
    images = {image_id: find(files.get(image_id, image_id)) for image_id in captions}
    pool = tuple(
        Example(
            image_id=image_id,
            image=images[image_id],
            references=tuple(captions[image_id]),
            split="none",
            outside=_is_outside(images[image_id], confinement),
        )
        # Lines stay in order: 10 would come before 2.
        for image_id in (captions if numbered else sorted(captions))
    )
    origin = {"file": path.name, "sha256": hash_files([path])[0].hex()}
    return EvaluationSet(name=path.name, split="", pool=pool, origin=origin, numbered=numbered)


def _is_outside(image: Path, confinement: Confinement) -> bool:
    # Only reports need images to be there. Path.is_file raises for names that are too long.
    return os.path.isfile(image) and not confinement.holds(image)  # noqa: PTH113


def _captions(path: Path) -> tuple[dict[str, list[str]], dict[str, str], bool]:
    """Return captions and file names by image id, and whether ids are only numbers of lines."""
    if path.suffix.lower() in SUFFIXES and path.suffix.lower() != ".json":
        return _of_entries(read_caption_file(path), path)
    content = read_content(path)
    if isinstance(content, dict) and "annotations" in content:
        return (*_coco(content, path), False)
    if isinstance(content, dict) and isinstance(content.get("images"), list):
        raise DataError(
            f"{path} does not contain references",
            hint="Is it a file of a data set? Then give it as --data-dir, with --split.",
        )
    return _of_entries(caption_items(content, path), path)


def _of_entries(read: CaptionFile, path: Path) -> tuple[dict[str, list[str]], dict[str, str], bool]:
    captions: dict[str, list[str]] = {}
    for entry in read.entries:
        texts = [_text(text, entry.image, path) for text in entry.captions]
        captions.setdefault(entry.image, []).extend(texts)
    return captions, {image: image for image in captions}, read.numbered


def _coco(content: Mapping[str, Any], path: Path) -> tuple[dict[str, list[str]], dict[str, str]]:
    files: dict[str, str] = {}
    for item in _objects(content.get("images", []), path, "images", "id"):
        image_id = _id(item["id"], path)
        if image_id in files:
            raise DataError(f"{path}: two entries in 'images' have the id {image_id}")
        files[image_id] = str(item.get("file_name") or image_id)
    captions: dict[str, list[str]] = {image_id: [] for image_id in files}
    for item in _objects(content["annotations"], path, "annotations", "image_id", "caption"):
        image_id = _id(item["image_id"], path)
        if files and image_id not in files:
            raise DataError(f"{path}: an annotation refers to an unknown image, {image_id}")
        captions.setdefault(image_id, []).append(_text(item["caption"], image_id, path))
    return captions, files


def _id(value: Any, path: Path) -> str:
    name = image_name(value)
    if name is None:
        raise DataError(f"{path}: {value!r} is no id of an image")
    return name


def _objects(items: Any, path: Path, where: str, *keys: str) -> Sequence[Mapping[str, Any]]:
    if not isinstance(items, list):
        raise DataError(f"{path}: '{where}' is not a list")
    for number, item in enumerate(items):
        if not isinstance(item, dict) or any(key not in item for key in keys):
            raise DataError(f"{path}: entry {number} in '{where}' lacks {' or '.join(keys)}")
    return items


def _text(caption: Any, image_id: str, path: Path) -> str:
    if not isinstance(caption, str) or not caption.strip():
        raise DataError(f"{path}: a caption of {image_id!r} is empty or not a string")
    return caption


def _unique(form: Callable[[str], str], pool: Sequence[Example]) -> dict[str, str]:
    """Map each form of an image's id or file name to the id, if no other image shares it."""
    pairs = {
        (form(name), example.image_id)
        for example in pool
        for name in (example.image_id, example.image.name)
        if form(name)
    }
    counts = Counter(name for name, _ in pairs)
    return {name: image_id for name, image_id in pairs if counts[name] == 1}


def _base(name: str) -> str:
    return unicodedata.normalize("NFC", base_name(name))


def _stem(name: str) -> str:
    return PurePosixPath(_base(name)).stem


def number_in(name: str) -> str:
    """Return the number in a COCO file name, or a bare number; otherwise an empty string."""
    match = re.fullmatch(r"(?:.*_)?(\d{12})|(\d+)", _stem(name))
    return str(int(match[1] or match[2])) if match else ""
