"""Cuts a list of images into parts: the pieces of work that are done or not, never half.

The list is read once and not kept, so it may be as long as it likes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from capgen.captioning.batch.sources import Source
from capgen.config import ImageLimits
from capgen.distributed.share import Share, name_digest

DEFAULT_PART_SIZE = 1000


class Unit(Protocol):
    """What a machine gets as a whole: an image, or an archive or table with many.

    Units are small, and can be pickled.
    """

    @property
    def name(self) -> str:
        """Its name, which decides on its share."""
        ...

    def sources(self, limits: ImageLimits) -> Iterable[Source]:
        """Return its images, read as needed."""
        ...


@dataclass(frozen=True, slots=True)
class ImageUnit:
    """One image."""

    source: Source

    @property
    def name(self) -> str:
        return self.source.name

    def sources(self, limits: ImageLimits) -> Iterable[Source]:
        return (self.source,)


@dataclass(frozen=True, kw_only=True)
class Part:
    """A piece of the work.

    Attributes:
        number: Its number in its share, from 0.
        units: What is in it.
        positions: Where each unit is in the whole list, from 0, ascending.
        digest: Hash of the units' names.
    """

    number: int
    units: tuple[Unit, ...]
    positions: tuple[int, ...]
    digest: bytes


class Plan:
    """The parts of one share of a list.

    Args:
        units: The list.
        share: The share to cut.
        part_size: Units in a part.

    Attributes:
        listed: Units of the whole list that were read so far.
        taken: Units of the share.
        parts: Parts that were cut.
    """

    def __init__(
        self, units: Iterable[Unit], share: Share, part_size: int = DEFAULT_PART_SIZE
    ) -> None:
        self._units = units
        self._share = share
        self._part_size = part_size
        self.listed = self.taken = self.parts = 0
        # Sums of hashes: the same whatever the order.
        self._names = self._taken_names = 0
        self._order = hashlib.sha256()

    def __iter__(self) -> Iterator[Part]:
        units: list[Unit] = []
        positions: list[int] = []
        digests = hashlib.sha256()
        for unit in self._units:
            digest = name_digest(unit.name)
            self._names += int.from_bytes(digest, "big")
            self._order.update(digest)
            position, self.listed = self.listed, self.listed + 1
            if not self._share.holds(digest):
                continue
            self.taken += 1
            self._taken_names += int.from_bytes(digest, "big")
            units.append(unit)
            positions.append(position)
            digests.update(digest)
            if len(units) == self._part_size:
                yield self._cut(units, positions, digests.digest())
                units, positions, digests = [], [], hashlib.sha256()
        if units:
            yield self._cut(units, positions, digests.digest())

    def _cut(self, units: list[Unit], positions: list[int], digest: bytes) -> Part:
        number, self.parts = self.parts, self.parts + 1
        return Part(number=number, units=tuple(units), positions=tuple(positions), digest=digest)

    @property
    def names(self) -> str:
        """Hash of the names in the whole list, the same for every order."""
        return _sum(self._names)

    @property
    def taken_names(self) -> str:
        """Hash of the names in the share, the same for every order."""
        return _sum(self._taken_names)

    @property
    def order(self) -> str:
        """Hash of the whole list, in its order."""
        return self._order.hexdigest()


def _sum(value: int) -> str:
    return f"{value % (1 << 256):064x}"


def sum_of_names(sums: Iterable[str]) -> str:
    """Return the hash of the names in several shares."""
    return _sum(sum(int(value, 16) for value in sums))
