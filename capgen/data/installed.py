"""Installed data sets: their names and folders."""

from __future__ import annotations

import shutil
from pathlib import Path

from capgen import paths
from capgen.data.download.catalog import DATASETS
from capgen.data.formats import manifest
from capgen.errors import DataError, did_you_mean


def dataset_dir(name: str, store: Path | None = None) -> Path:
    """Return the folder of the data set `name`, which need not exist."""
    return (store or paths.datasets_dir()) / paths.check_name(name, "a data set")


def installed(store: Path | None = None) -> list[str]:
    """Return the names of the installed data sets."""
    folder = store or paths.datasets_dir()
    if not folder.is_dir():
        return []
    return sorted(place.name for place in folder.iterdir() if _is_installed(place))


def _is_installed(place: Path) -> bool:
    return paths.is_name(place.name) and manifest.manifest_file(place) is not None


def holds(root: Path, store: Path | None = None) -> bool:
    """Whether a folder is an installed data set."""
    place = (store or paths.datasets_dir()) / root.name
    return place.is_dir() and _is_installed(place) and root.is_dir() and root.samefile(place)


def find(name: str, store: Path | None = None) -> Path:
    """Return the folder of an installed data set, or raise DataError."""
    place = (store or paths.datasets_dir()) / name
    if place.name == name and place.is_dir() and _is_installed(place):
        return place
    if name in DATASETS:
        raise DataError(
            f"The data set {name!r} is not installed",
            hint=f"Run: capgen data download {name}, or, if you have its files: "
            f"capgen data import PATH --name {name}",
        )
    known = {*installed(store), *DATASETS}
    raise DataError(f"Unknown data set {name!r}", hint=did_you_mean(name, known))


def remove(name: str, store: Path | None = None) -> Path:
    """Delete an installed data set, but no images outside its folder; return the folder."""
    place = find(name, store)
    with paths.storage_errors(place):
        # Renamed first: an interrupted removal must not leave half a data set.
        doomed = place.with_name(f".{place.name}.removed")
        shutil.rmtree(doomed, ignore_errors=True)
        place.rename(doomed)
        shutil.rmtree(doomed)
    return place
