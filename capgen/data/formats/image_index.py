"""The images of a data set, found by the names in its caption files."""

from __future__ import annotations

import unicodedata
from itertools import takewhile
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
        self._by_stem: dict[str, list[Path]] = {}
        for path in self.paths:
            self._by_name.setdefault(path.name, []).append(path)
            self._by_stem.setdefault(path.stem, []).append(path)
        # macOS decomposes accents: é becomes e and a combining accent.
        self._by_composed = {_composed(name): path for name, path in self._by_path.items()}

    def find(self, name: str) -> Path:
        """Return where an image is, or should be: below `root` if it is unknown."""
        posix = _posix(name)
        return self.known(name) or self.root / posix

    def known(self, name: str) -> Path | None:
        """Return the only image that a name can mean, or None.

        The relative path is tried first; then the longest end of the path that any image has
        (COCO's annotations leave out the folder, others write their own machine's), which must
        be that of one image; then the path with its accents in another form, as after a move
        between systems; then all of these as a name without its suffix (`img_1` for
        `img_1.jpg`).
        """
        posix = _posix(name)
        if posix in self._by_path:
            return self._by_path[posix]
        alike = self._alike(posix, self._by_name.get(base_name(posix), []))
        if alike:
            return alike[0] if len(alike) == 1 else None
        composed = self._by_composed.get(_composed(posix))
        if composed is not None or has_image_suffix(posix):
            return composed
        alike = self._alike(posix, self._by_stem.get(base_name(posix), []), suffix=False)
        return alike[0] if len(alike) == 1 else None

    def several(self, name: str) -> list[Path]:
        """Return the images among which a name does not choose; none if it means one or none."""
        posix = _posix(name)
        if self.known(name) is not None:
            return []
        return self._alike(posix, self._by_name.get(base_name(posix), []))

    def _alike(self, posix: str, paths: list[Path], *, suffix: bool = True) -> list[Path]:
        """Return those of the paths that share the longest end with a name."""
        wanted = posix.split("/")[::-1]
        lengths = {}
        for path in paths:
            relative = path.relative_to(self.root)
            own = (relative if suffix else relative.with_suffix("")).parts[::-1]
            pairs = zip(own, wanted, strict=False)
            lengths[path] = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        longest = max(lengths.values(), default=0)
        return [path for path, length in lengths.items() if length == longest]

    def image_id(self, path: Path) -> str:
        """Return an image's name: its file name where that is unique, else its path."""
        if len(self._by_name.get(path.name, ())) > 1 and path.is_relative_to(self.root):
            return path.relative_to(self.root).as_posix()
        return path.name


def _posix(name: str) -> str:
    return PurePosixPath(name.replace("\\", "/")).as_posix()


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)
