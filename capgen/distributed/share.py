"""A share of a list of images: which machine captions which."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Self

from capgen.errors import UsageError

_WRITTEN = re.compile(r"(\d{1,6})/(\d{1,6})")
_MOST = 100_000


@dataclass(frozen=True)
class Share:
    """Share `number` (from 1) of `count`.

    What is in it depends on names alone: not on their order, nor on other names.

    Raises:
        UsageError: There is no such share.
    """

    number: int = 1
    count: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count <= _MOST:
            raise UsageError(
                f"There is no share {self.number}/{self.count}",
                hint=f"Shares are counted from 1, as in 3/16; at most {_MOST:,}.",
            )

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the share that a text names, as in `3/16`.

        Raises:
            UsageError: It names none.
        """
        found = _WRITTEN.fullmatch(text.strip())
        if found is None:
            raise UsageError(f"--shard is '{text}'; it must be a share such as 3/16")
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    @property
    def label(self) -> str:
        """The share in file names, as in `03-of-16`; empty if it is everything."""
        digits = max(2, len(str(self.count)))
        return "" if self.count == 1 else f"{self.number:0{digits}}-of-{self.count:0{digits}}"

    def holds(self, name_digest: bytes) -> bool:
        """Whether an image is in the share; see `name_digest`."""
        return int.from_bytes(name_digest[:8], "big") % self.count == self.number - 1


def name_digest(name: str) -> bytes:
    """Return the SHA-256 of an image's name, which decides on its share."""
    try:
        data = name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half a character, as JSON can have it
        data = name.encode("utf-8", "surrogatepass")
    return hashlib.sha256(data).digest()
