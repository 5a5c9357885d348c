"""Finding the images in a folder: the walk that captioning and data sets share."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePath

from capgen.errors import ImageError
from capgen.file_types import (
    HEAD_BYTES,
    IMAGES,
    RAW_FILES,
    VIDEOS,
    has_image_suffix,
    kind_of_suffix,
    sniff,
)
from capgen.images.decoders import printable

SHARD_SUFFIXES = (".tar", ".tar.gz", ".tgz")
# Folders that hold copies or rubbish: macOS' resource forks, thumbnails of Synology's and QNAP's
# network drives, recycle bins.
_SKIPPED_FOLDERS = frozenset(
    {"__macosx", "@eadir", "@__thumb", "#recycle", "@recycle", "$recycle.bin", "recycler"}
    | {"system volume information", "lost+found"}
)
# Apple Photos' library keeps the photos in these of its folders, and derivatives in the others;
# Lightroom's previews lie in folders with this suffix.
_PHOTO_LIBRARY, _ORIGINALS = ".photoslibrary", ("originals", "masters")
_PREVIEWS = ".lrdata"
# Folders of training data have as many of these as images; they are not opened to look for images.
_CAPTION_SUFFIXES = (".txt", ".caption")


def is_shard(path: PurePath) -> bool:
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

    Hidden files and folders, unreadable folders, and those that hold thumbnails, previews or
    deleted files are skipped. Links to folders are not followed, so each file comes once and
    there are no loops.
    """
    for folder, subfolders, names in os.walk(directory):
        subfolders[:] = _walked(folder, subfolders) if recursive else []
        yield from (Path(folder, name) for name in sorted(names) if _is_seen(name))


def _walked(folder: str, subfolders: list[str]) -> list[str]:
    """Return the subfolders that may hold images of the user's, sorted."""
    seen = sorted(filter(_is_seen, subfolders))
    if folder.lower().endswith(_PHOTO_LIBRARY):
        return [name for name in seen if name.lower() in _ORIGINALS]
    return seen


def _is_seen(name: str) -> bool:
    lower = name.lower()
    return not (name.startswith(".") or lower in _SKIPPED_FOLDERS or lower.endswith(_PREVIEWS))


def passed_over(directory: Path, *, recursive: bool) -> Counter[str]:
    """Count what `find_images` leaves out of a folder although it may hold images.

    Returns:
        Kind (`subfolders`, `.svg files`, `camera raw files`, `videos or sounds`, `images whose
        names have no image suffix`, `links to missing images`) → number.
    """
    counts: Counter[str] = Counter()
    for path in walk_files(directory, recursive=recursive):
        kind = kind_of_suffix(path.suffix)
        if has_image_suffix(path.name):
            counts["links to missing images"] += path.is_symlink() and not path.exists()
        elif kind == IMAGES:
            counts[f"{path.suffix.lower()} files"] += 1
        elif kind in (RAW_FILES, VIDEOS):
            counts[kind] += 1
        elif kind is None and _is_image(path):
            counts["images whose names have no image suffix"] += 1
    if not recursive:
        with os.scandir(directory) as entries:
            counts["subfolders"] = sum(
                entry.is_dir(follow_symlinks=False) and _is_seen(entry.name) for entry in entries
            )
    return +counts


def _is_image(path: Path) -> bool:
    """Whether a file is an image by its first bytes, whatever its name."""
    if path.suffix.lower() in _CAPTION_SUFFIXES:
        return False
    with suppress(OSError):
        if path.is_file():  # opening a pipe would wait
            with path.open("rb") as file:
                return sniff(file.read(HEAD_BYTES)).image
    return False


def is_seen_member(name: str) -> bool:
    """Whether `walk_files` would yield a member of an archive, were it unpacked."""
    return all(part in (".", "..") or _is_seen(part) for part in name.split("/"))


def natural_key(path: PurePath) -> tuple[list[list[str | int]], str]:
    """Return a key that sorts `img2` before `img10`, whatever the case."""
    # Digits are at the odd positions of each list, so text is never compared to a number.
    pieces = (re.split(r"(\d+)", part.casefold()) for part in path.parts)
    return [[int(p) if p.isdecimal() else p for p in part] for part in pieces], str(path)
