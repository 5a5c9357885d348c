"""Several data sets at once: which they are, their weights, and the images they share."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, count, groupby
from pathlib import Path

import capgen.data.installed as installed
from capgen.data.cache.file_hashes import hash_files
from capgen.data.dataset import Dataset, open_dataset
from capgen.data.download.hub import hub_dataset
from capgen.data.splits import SPLITS
from capgen.errors import DataError, UsageError
from capgen.records import Example

LARGEST_WEIGHT = 1000.0
_WEIGHT = re.compile(r"(.+)=([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Member:
    """A data set among others.

    Attributes:
        name: Its name, which no other member has.
        dataset: The data set.
        weight: How often one of its training images is seen per epoch, on average.
        held_out: Ids of its training images that are left out because another member has
            the same image in val or test.
    """

    name: str
    dataset: Dataset
    weight: float = 1.0
    held_out: frozenset[str] = frozenset()

    def split(self, name: str) -> list[Example]:
        """Return the examples of a split, or raise DataError if there are none.

        Training images that come equally often follow each other.
        """
        examples = self.dataset.split(name)
        if name == "train":
            examples = sorted(examples, key=lambda example: example.repeats)
        if name == "train" and self.held_out:
            examples = [e for e in examples if e.image_id not in self.held_out]
            if not examples:
                raise DataError(
                    f"All training images of {self.name} are in other data sets' val or test"
                )
        return examples

    def counted(self, examples: Sequence[Example]) -> tuple[tuple[int, float], ...]:
        """Return how many training images in a row come how often in an epoch, on average."""
        groups = groupby(examples, key=lambda example: example.repeats)
        return tuple((len(list(group)), repeats * self.weight) for repeats, group in groups)

    def key(self, split: str) -> str:
        """Return text that identifies the images of a split."""
        if split != "train" or not self.held_out:
            return self.dataset.digest
        return f"{self.dataset.digest} without {sorted(self.held_out)}"


@dataclass(frozen=True)
class Mixture:
    """One data set or several, as training sees them.

    A single set keeps its name, image ids and digest. With several, image ids begin with their
    set's name, so that no two are the same.

    Args:
        members: The data sets, in the order they were named.
    """

    members: tuple[Member, ...]

    @property
    def several(self) -> bool:
        """Whether there is more than one."""
        return len(self.members) > 1

    @property
    def name(self) -> str:
        """The names of all."""
        return " + ".join(member.name for member in self.members)

    @property
    def counts(self) -> dict[str, int]:
        """Images per split, without empty splits."""
        total: Counter[str] = Counter()
        for member in self.members:
            total.update(member.dataset.counts)
        return {split: total[split] for split in SPLITS if total[split]}

    @cached_property
    def digest(self) -> str:
        """The data set's digest; with several, the SHA-256 over their digests in order."""
        digests = [member.dataset.digest for member in self.members]
        if not self.several:
            return digests[0]
        text = "capgen data sets 1\n" + "\n".join(digests)
        return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"

    def parts(self, split: str, limit: int | None = None) -> dict[str, list[Example]]:
        """Return up to `limit` examples of a split per data set that has it.

        Raises:
            DataError: No data set has it, or one has no training images.
        """
        having = [m for m in self.members if split == "train" or split in m.dataset.counts]
        having = having or [self.members[0]]  # which raises
        return {member.name: self._examples(member, split)[:limit] for member in having}

    def lacks(self, split: str) -> bool:
        """Whether no data set has a split or, its images missing, should have it."""
        return split not in self.counts and all(
            split in member.dataset.undecided for member in self.members
        )

    def member(self, name: str) -> Member:
        """Return the member called `name`."""
        return next(member for member in self.members if member.name == name)

    def _examples(self, member: Member, split: str) -> list[Example]:
        examples = member.split(split)
        if not self.several:
            return examples
        return [
            dataclasses.replace(example, image_id=f"{member.name}/{example.image_id}")
            for example in examples
        ]


def open_mixture(
    names: str | Sequence[str] | None, data_dirs: Path | Sequence[Path] | None
) -> Mixture:
    """Open the data sets that `--dataset` and `--data-dir` ask for.

    Args:
        names: Names of installed data sets, each `NAME` or `NAME=WEIGHT`.
        data_dirs: Without names, folders or files, each `PATH` or `PATH=WEIGHT`; with names,
            the one folder that holds installed data sets.

    Raises:
        UsageError: None was named, one twice, or a weight is out of range.
        DataError: As `capgen.data.dataset.load_dataset`.
    """
    named, places = _listed(names, data_dirs)
    folder = places[0] if places else None
    if named and len(places) > 1:
        raise UsageError(
            "--dataset with several --data-dir: it would be the folder of installed data sets",
            hint="Name all data sets by their folders: --data-dir PATH --data-dir PATH.",
        )
    if named:
        chosen = [split_weight(text) for text in named]
        opened = [(open_dataset(name, folder), weight) for name, weight in chosen]
    else:
        chosen = [split_weight(str(place)) for place in places]
        opened = [(open_dataset(None, Path(place)), weight) for place, weight in chosen]
        if not opened:
            open_dataset(None, None)  # raises
    members: dict[str, Member] = {}
    for dataset, weight in opened:
        if any(dataset.root.samefile(other.dataset.root) for other in members.values()):
            raise UsageError(
                f"{dataset.root} is named twice", hint="Give it a weight instead: PLACE=2."
            )
        name = _free(dataset.name, members)
        members[name] = Member(name=name, dataset=dataset, weight=weight)
    return Mixture(_without_held_out(list(members.values())))


def check_there(names: str | Sequence[str] | None, data_dirs: Path | Sequence[Path] | None) -> None:
    """Check the arguments of `open_mixture`, and that the data sets exist, without reading them."""
    named, places = _listed(names, data_dirs)
    for text in named:
        name = split_weight(text)[0]
        if hub_dataset(name) is None:
            installed.find(name, places[0] if places else None)
    for text in () if named else map(str, places):
        place = Path(split_weight(text)[0])
        if hub_dataset(place) is None and not place.exists():
            open_dataset(None, place)  # raises


def _listed(
    names: str | Sequence[str] | None, data_dirs: Path | Sequence[Path] | None
) -> tuple[list[str], list[Path]]:
    named = [names] if isinstance(names, str) else list(names or ())
    return named, [data_dirs] if isinstance(data_dirs, Path) else list(data_dirs or ())


def split_weight(text: str) -> tuple[str, float]:
    """Split `PLACE=WEIGHT` at its last `=`; without a number there, all of it is the place.

    An existing path is never split: the folder `x=2` gets the weight 3 as `x=2=3`.
    """
    match = _WEIGHT.fullmatch(text)
    if match is None or Path(text).exists():
        return text, 1.0
    weight = float(match[2])
    if not 0 < weight <= LARGEST_WEIGHT:
        raise UsageError(
            f"The weight of {match[1]} is {match[2]}; it must be above 0, "
            f"and at most {LARGEST_WEIGHT:g}"
        )
    return match[1], weight


def _free(name: str, used: Collection[str]) -> str:
    """Return the name, numbered if another set has it."""
    numbered = (f"{name}-{number}" for number in count(2))
    return next(free for free in chain([name], numbered) if free not in used)


def _without_held_out(members: Sequence[Member]) -> tuple[Member, ...]:
    """Hold out training images that another member has, byte for byte, in val or test."""
    if len(members) == 1:
        return tuple(members)
    splits: list[list[tuple[Example, bytes]]] = []
    for member in members:
        images = hash_files([example.image for example in member.dataset.examples])
        splits.append(list(zip(member.dataset.examples, images, strict=True)))
    kept = [{h for e, h in pairs if e.split in ("val", "test")} for pairs in splits]
    result = []
    for index, member in enumerate(members):
        others: set[bytes] = set().union(*(k for i, k in enumerate(kept) if i != index))
        twice = {e.image_id for e, h in splits[index] if e.split == "train" and h in others}
        result.append(dataclasses.replace(member, held_out=frozenset(twice)))
    return tuple(result)
