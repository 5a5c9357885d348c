"""Finding the images of a folder."""

from __future__ import annotations

import os
import re
from pathlib import Path

from capgen.errors import ImageError
from capgen.file_types import IMAGE_SUFFIXES
from capgen.images.decoders import printable

SUFFIXES = IMAGE_SUFFIXES
SHARD_SUFFIXES = (".tar", ".tar.gz", ".tgz")


def is_shard(path: Path) -> bool:
    """Whether a path is that of a tar archive, by its name."""
    return path.name.lower().endswith(SHARD_SUFFIXES)


def find_images(directory: Path, recursive: bool = False) -> list[Path]:
    """Return the images of a folder, known by suffix, in the natural order of their names.

    Hidden files and folders are skipped, and links to folders are not followed, so an
    image is listed once and no loop is walked. Subfolders that may not be read are
    skipped.

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
    found = []
    for folder, subfolders, names in os.walk(directory):
        subfolders[:] = [name for name in subfolders if recursive and not name.startswith(".")]
        paths = (Path(folder, name) for name in names if not name.startswith("."))
        found += [path for path in paths if path.suffix.lower() in SUFFIXES and path.is_file()]
    return sorted(found, key=lambda path: natural_key(path.relative_to(directory)))


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
