"""Images whose bytes are in the cells of a table, written into a cache folder once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from capgen.data.formats.image_index import base_name
from capgen.paths import folded, works_everywhere, write_text, writing

_KEPT = ".rows.json"


def holds_image(cell: Any) -> bool:
    """Whether a cell has an image's bytes, bare or as the Hub has them (`bytes`, `path`)."""
    return isinstance(cell, bytes | Mapping) and _parts(cell) != (None, "")


class EmbeddedImages:
    """Writes the images of a table's rows, byte for byte, and gives each a name of its own.

    Args:
        folder: The folder of the images, made when it is needed.
        mode: The mode bits of files that hold the table, which those of the images follow.

    Attributes:
        columns: The columns that have images.
        names: Names and files of the images by row.
        complete: Whether all images were written before, so that rows need not have them.
    """

    def __init__(self, folder: Path, mode: int) -> None:
        self.folder = folder
        self.columns: set[str] = set()
        self.names: dict[str, tuple[str, str]] = {}
        self._mode = mode & 0o666 | 0o200
        self._taken: set[str] = set()
        self.complete = (folder / _KEPT).is_file()
        if self.complete:
            kept = json.loads((folder / _KEPT).read_bytes())
            self.columns = set(kept["columns"])
            self.names = {row: (name, file) for row, (name, file) in kept["rows"].items()}

    def keep(self) -> None:
        """Note that all images are written."""
        if self.names and not self.complete:
            record = {"columns": sorted(self.columns), "rows": self.names}
            write_text(self.folder / _KEPT, json.dumps(record))

    def add(self, cell: Any, row: str) -> tuple[str, Path] | None:
        """Return the name and the place of a row's image, or None if the cell has none.

        An image that the cell only names is used where it is.
        """
        if self.complete:
            name, file = self.names.get(row, ("", ""))
            return (name, self.folder / file) if name else None
        data, path = _parts(cell)
        if data is None:
            return (self._own_name(Path(path).name, row), Path(path)) if path else None
        plain = f"{row}.{_suffix(data)}"
        name = self._own_name(base_name(path) if path else plain, row)
        target = self.folder / (name if works_everywhere(name) else plain)
        if not target.exists():
            with writing(target, mode=self._mode, sweep=False) as temporary:
                temporary.write_bytes(data)
        self.names[row] = name, target.name
        return name, target

    def _own_name(self, name: str, row: str) -> str:
        """Return a name that no other image has."""
        if folded(name) in self._taken:
            name = f"{row}-{name}"
        self._taken.add(folded(name))
        return name


def _parts(cell: Any) -> tuple[bytes | None, str]:
    """Return the bytes and the path in a cell."""
    if isinstance(cell, Mapping):
        data, path = cell.get("bytes"), cell.get("path")
    else:
        data, path = (cell, "") if isinstance(cell, bytes) else (None, cell)
    return (
        data if isinstance(data, bytes) and data else None,
        path if isinstance(path, str) else "",
    )


def _suffix(data: bytes) -> str:
    if data.startswith(b"\x89PNG"):
        return "png"
    return "webp" if data[8:12] == b"WEBP" else "jpg"
