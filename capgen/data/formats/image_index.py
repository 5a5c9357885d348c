"""The images of a data set, found by the names in its caption files."""

from __future__ import annotations

import unicodedata
from pathlib import Path, PurePosixPath

from capgen.file_types import has_image_suffix
from capgen.images.folders import walk_files


def base_name(name: str) -> str:
    """Return the last part of a path, whatever system wrote it."""
    return PurePosixPath(name.replace("\\", "/")).name


def first_folder(root: Path, names: tuple[str, ...]) -> Path | None:
    """Return the first of these folders that exists below `root`."""
    return next((root / name for name in names if (root / name).is_dir()), None)


class ImageIndex:
    """The images below the folder `root`, found by the names in caption files."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.paths = [path for path in walk_files(root) if has_image_suffix(path.name)]
        self._by_path = {path.relative_to(root).as_posix(): path for path in self.paths}
        self._by_name: dict[str, list[Path]] = {}
        for path in self.paths:
            self._by_name.setdefault(path.name, []).append(path)
        # macOS decomposes accents: é becomes e and a combining accent.
        self._by_composed = {_composed(name): path for name, path in self._by_path.items()}

    def find(self, name: str) -> Path:
        """Return where an image is, or should be.

        The relative path is tried first, then the bare file name if only one image has it
        (COCO's annotations leave out the folder), then the path with its accents in another
        form, as after a move between systems.
        """
        posix = PurePosixPath(name.replace("\\", "/")).as_posix()
        if posix in self._by_path:
            return self._by_path[posix]
        same_name = self._by_name.get(base_name(posix), [])
        if len(same_name) == 1:
            return same_name[0]
        return self._by_composed.get(_composed(posix), self.root / posix)

    def image_id(self, path: Path) -> str:
        """Return an image's name: its file name where that is unique, else its path."""
        if len(self._by_name.get(path.name, ())) > 1 and path.is_relative_to(self.root):
            return path.relative_to(self.root).as_posix()
        return path.name


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)
