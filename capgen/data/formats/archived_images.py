"""The images that a caption file means: those in its folder, or in archives there.

If a folder has no images, but archives (`images.zip`, `train.tar.gz`), their images are extracted
into the cache folder once. Archives beside images are taken for copies of them.
"""

from __future__ import annotations

from itertools import chain
from pathlib import Path

from capgen.cache_folders import ARCHIVES
from capgen.data.formats.extraction import extracted
from capgen.data.formats.image_index import ImageIndex
from capgen.data.formats.reading import ReadOptions
from capgen.data.problems import Report
from capgen.file_types import has_image_suffix
from capgen.images.folders import is_shard


def find_images(
    folder: Path, options: ReadOptions, report: Report
) -> tuple[ImageIndex, Path | None]:
    """Return the images, and the cache folder that they were extracted into, if they were.

    Args:
        folder: The data set's folder.
        options: May name another folder, or an archive.
        report: Receives what is left out of archives.
    """
    place = options.images or folder
    if is_archive(place):
        return _extracted([place], report)
    index = ImageIndex(place)
    found = [] if index.paths else archives_in(place)
    return _extracted(found, report) if found else (index, None)


def archives_in(folder: Path) -> list[Path]:
    """Return the archives in a folder and the folders in it."""
    if not folder.is_dir():
        return []
    return [
        path for path in sorted(chain(folder.glob("*"), folder.glob("*/*"))) if is_archive(path)
    ]


def is_archive(path: Path) -> bool:
    """Whether a path is a file with the name of a zip or tar archive."""
    return (path.suffix.lower() == ".zip" or is_shard(path)) and path.is_file()


def _extracted(archives: list[Path], report: Report) -> tuple[ImageIndex, Path]:
    places: dict[Path, str] = {}
    for number, path in enumerate(archives):
        name = path.name.split(".", 1)[0] or "archive"
        places[path] = f"{number}/{name}"
    folder = extracted(ARCHIVES, places, lambda member: has_image_suffix(member.name), report)
    return ImageIndex(folder), folder
