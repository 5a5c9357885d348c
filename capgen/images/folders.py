"""Finding the images in a folder: the walk that captioning and data sets share."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from capgen.errors import ImageError
from capgen.file_types import has_image_suffix
from capgen.images.decoders import printable

SHARD_SUFFIXES = (".tar", ".tar.gz", ".tgz")
# A folder that macOS adds to archives.
_RESOURCE_FORKS = "__MACOSX"


def is_shard(path: Path) -> bool:
    """Whether a path is a tar archive, by its name."""
    return path.name.lower().endswith(SHARD_SUFFIXES)


def find_images(directory: Path, recursive: bool = False) -> list[Path]:
    """Return a folder's regular files with an image suffix, in natural order."""
    name = printable(directory)
    try:
        with os.scandir(directory):
            pass
    except PermissionError as error:
        raise ImageError(f"{name}: not allowed to list the folder", code="permission") from error
    except FileNotFoundError as error:
        raise ImageError(f"{name}: no such folder", code="missing") from error
    except OSError as error:
        text = f"{name}: {error.strerror or 'not a folder'}"
        raise ImageError(text, code="unreadable") from error
    files = walk_files(directory, recursive=recursive)
    images = [path for path in files if has_image_suffix(path.name) and path.is_file()]
    return sorted(images, key=lambda path: natural_key(path.relative_to(directory)))


def walk_files(directory: Path, *, recursive: bool = True) -> Iterator[Path]:
    """Yield everything in a folder except folders, by name, including broken links.

    Hidden files and folders, `__MACOSX` and unreadable folders are skipped. Links to folders
    are not followed, so each file comes once and there are no loops.
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
    # Digits are at the odd positions of each list, so text is never compared to a number.
    pieces = (re.split(r"(\d+)", part.casefold()) for part in path.parts)
    return [[int(p) if p.isdecimal() else p for p in part] for part in pieces], str(path)
