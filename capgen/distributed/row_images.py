"""The image of a table's row: a path or an address, the bytes of a file, or both."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from capgen.captioning.batch.sources import BytesSource, FailedSource, Source, named_source
from capgen.errors import ImageError
from capgen.images.decoders import printable


@dataclass(frozen=True)
class RowImages:
    """Makes sources of the cells of rows.

    A row whose cells hold no image becomes a failure.

    Attributes:
        columns: What messages call the cells, as in `column 'path'`.
        base: The folder, or the address in a store, that relative paths start from; None is the
            working directory.
        allow_private: Also fetch from private and loopback addresses.
    """

    columns: str
    base: Path | str | None
    allow_private: bool

    def source(self, path: object, image: object) -> Source:
        """Return the image of one row.

        Args:
            path: Where it is, and its name in the record; None if the row does not say.
            image: The bytes of a file; a mapping of `bytes` and `path`, as the Hub's data sets
                have; a path; or None.
        """
        inner, data = image, image
        if isinstance(image, Mapping):
            inner, data = image.get("path"), image.get("bytes")
        name = next((cell for cell in (path, inner) if isinstance(cell, str | os.PathLike)), "")
        named = named_source(os.fsdecode(name), base=self.base, allow_private=self.allow_private)
        if isinstance(data, bytes | bytearray | memoryview):
            return BytesSource(named.name, bytes(data))
        if named.name:
            return named
        wrong = next((cell for cell in (image, path) if cell is not None), None)
        if wrong is None or wrong == "" or isinstance(wrong, Mapping):
            return self._failed(f"no image in {self.columns}")
        kind = type(wrong).__name__
        return self._failed(f"{self.columns}: not a path or the bytes of a file, but {kind}")

    def _failed(self, message: str) -> Source:
        return FailedSource("", ImageError(printable(message), code="malformed"))
