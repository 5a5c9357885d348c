"""Finding the images of a folder: the one walk that captioning and data sets share."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from capgen.errors import ImageError
from capgen.file_types import has_image_suffix
from capgen.images.decoders import printable

SHARD_SUFFIXES = (".tar", ".tar.gz", ".tgz")
# What macOS puts into archives beside the files themselves.
_RESOURCE_FORKS = "__MACOSX"


def is_shard(path: Path) -> bool:
    """Whether a path is that of a tar archive, by its name."""
    return path.name.lower().endswith(SHARD_SUFFIXES)


def find_images(directory: Path, recursive: bool = False) -> list[Path]:
    """Return the images of a folder in the natural order of their names.

    They are those of `walk_files` that have an image's suffix and are regular files.

    Args:
        directory: The folder.
        recursive: Look into subfolders as well.

    Raises:
        ImageError: The folder itself is missing or may not be read.
    """
    try:
        with os.scandir(directory):
            pass
    except PermissionError as error:
        raise ImageError(
            f"{printable(directory)}: not allowed to list the folder", code="permission"
        ) from error
    except FileNotFoundError as error:
        raise ImageError(f"{printable(directory)}: no such folder", code="missing") from error
    except OSError as error:
        raise ImageError(
            f"{printable(directory)}: {error.strerror or 'not a folder'}", code="unreadable"
        ) from error
    files = walk_files(directory, recursive=recursive)
    found = [path for path in files if has_image_suffix(path.name) and path.is_file()]
    return sorted(found, key=lambda path: natural_key(path.relative_to(directory)))


def walk_files(directory: Path, *, recursive: bool = True) -> Iterator[Path]:
    """Yield what a folder holds besides folders, by name, links that lead nowhere included.

    Hidden files and folders and `__MACOSX` are passed over, and links to folders are not
    followed, so a file comes once and no loop is walked. Folders that may not be read are
    passed over too.
    """
    for folder, subfolders, names in os.walk(directory):
        subfolders[:] = sorted(filter(_is_seen, subfolders)) if recursive else []
        yield from (Path(folder, name) for name in sorted(names) if _is_seen(name))


def _is_seen(name: str) -> bool:
    return not name.startswith(".") and name != _RESOURCE_FORKS


def is_seen_member(name: str) -> bool:
    """Whether `walk_files` would yield a member of an archive, were it unpacked."""
    return all(part in (".", "..") or _is_seen(part) for part in name.split("/"))


def natural_key(path: Path) -> tuple[list[list[str | int]], str]:
    """Return a key that sorts `img2` before `img10`, whatever the case."""
    # Digits stand at the odd places of each list, so text never meets a number.
    parts = [
        [
            int(piece) if piece.isdecimal() else piece
            for piece in re.split(r"(\d+)", part.casefold())
        ]
        for part in path.parts
    ]
    return parts, str(path)
