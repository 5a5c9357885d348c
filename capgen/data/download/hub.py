"""Data sets on the Hub, `hf:USER/NAME[/FOLDER][@REVISION]`, downloaded into Hugging Face's cache.

Parquet files are all that is taken of a repository that has them; of others the images, captions
and archives. What is downloaded is read as a folder is.
"""

from __future__ import annotations

import glob
import logging
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from capgen.data.download.unpack import check_space
from capgen.data.splits import split_name
from capgen.errors import DataError, NetworkError
from capgen.file_types import IMAGE_SUFFIXES
from capgen.hub_client.progress import download_bar
from capgen.hub_client.repository import (
    Listing,
    RemoteFile,
    check_content,
    leads_out,
    list_repository,
)
from capgen.hub_client.session import find_token, hub_errors, offline, patient
from capgen.paths import storage_errors

logger = logging.getLogger(__name__)

PREFIX = "hf:"
_KIND = "dataset"
_FORM = re.compile(r"([\w.-]+/[\w.-]+)((?:/[^@/]+)*)(?:@(.+))?")
_PARQUET = (".parquet",)
_OTHERS = (
    *(".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".txt", ".caption", ".token"),
    *(".zip", ".tar", ".tgz", ".gz", ".arrow", *IMAGE_SUFFIXES),
)
_MOST_FILES = 100_000


@dataclass(frozen=True)
class HubDataset:
    """A data set on the Hub.

    Attributes:
        identifier: `USER/NAME`.
        folder: The folder of the repository that is meant; empty for all of it.
        revision: Branch, tag or commit; None is the main branch.
    """

    identifier: str
    folder: str = ""
    revision: str | None = None


def hub_dataset(path: str | Path) -> HubDataset | None:
    """Return the data set that a path beginning with `hf:` names, or None for other paths.

    Raises:
        DataError: It begins so, but names none.
    """
    text = str(path).replace("\\", "/")
    if not text.startswith(PREFIX) or Path(path).exists():
        return None
    match = _FORM.fullmatch(text.removeprefix(PREFIX))
    if match is None:
        raise DataError(
            f"{text} names no data set on the Hub",
            hint="Write hf:USER/NAME, with /FOLDER or @REVISION behind it if you need them.",
        )
    return HubDataset(match[1], match[2].strip("/"), match[3])


def fetch(dataset: HubDataset) -> Path:
    """Download a data set, or find it in the cache; return its folder.

    Raises:
        DataError: There is no such data set, revision or folder, or it is several data sets.
        NetworkError: The Hub cannot be reached and the data set is not in the cache.
        StorageError: There is no room for it.
    """
    name = dataset.identifier
    with hub_errors(name, dataset.revision, kind="data set", missing=DataError), patient():
        snapshot = _offline(dataset) if offline() else _online(dataset)
    place = snapshot / dataset.folder
    if not place.exists():
        raise DataError(f"{name} has no folder {dataset.folder!r} with captions or images")
    return place


def name_in_cache(place: Path) -> str | None:
    """Return the name of a data set by its folder in Hugging Face's cache, or None elsewhere."""
    for folder in (place, *place.parents):
        repository = folder.parent.parent.name
        if folder.parent.name == "snapshots" and repository.startswith("datasets--"):
            inner = place.relative_to(folder).parts
            return "-".join((repository.split("--")[-1], *inner))
    return None


def _offline(dataset: HubDataset) -> Path:
    from huggingface_hub import snapshot_download

    logger.debug("offline: looking for %s in the cache", dataset.identifier)
    return Path(
        snapshot_download(
            dataset.identifier,
            repo_type=_KIND,
            revision=dataset.revision,
            local_files_only=True,
        )
    )


def _online(dataset: HubDataset) -> Path:
    token = find_token()
    for _ in range(2):  # a branch may move meanwhile
        listing = list_repository(
            dataset.identifier, dataset.revision, token=token, repository_type=_KIND
        )
        files = _wanted(dataset, listing)
        missing = [file for file in files if not _is_cached(dataset, file, listing.commit)]
        logger.debug(
            "%s is at commit %s: %d files, %d of them to download",
            *(dataset.identifier, listing.commit, len(files), len(missing)),
        )
        folder = _download(dataset, files, sum(max(0, file.size) for file in missing), token)
        if folder.name == listing.commit:
            check_content(dataset.identifier, folder, missing, fault=DataError)
            return folder
    raise NetworkError(f"{dataset.identifier} changed during the download", hint="Try again.")


def _download(
    dataset: HubDataset, files: Collection[RemoteFile], needed: int, token: str | None
) -> Path:
    """Download files, of which so many bytes are not in the cache; return their folder there."""
    from huggingface_hub import constants, snapshot_download

    cache = Path(constants.HF_HUB_CACHE)
    check_space(cache, needed, "download the data set")
    suffixes = sorted({PurePosixPath(file.name).suffix for file in files})
    prefix = f"{dataset.folder}/" if dataset.folder else ""
    with storage_errors(cache), download_bar() as bar:
        path = snapshot_download(
            dataset.identifier,
            repo_type=_KIND,
            # By its name, so that it is found by that without a network.
            revision=dataset.revision,
            allow_patterns=[f"{glob.escape(prefix)}*{glob.escape(suffix)}" for suffix in suffixes],
            token=token,
            tqdm_class=bar,
        )
    return Path(path)


def _wanted(dataset: HubDataset, listing: Listing) -> list[RemoteFile]:
    """Return the files to download, all of one data set."""
    name = dataset.identifier
    for file in listing.files:
        if leads_out(file):
            raise DataError(
                f"{name} holds a file named {file!r}, which leads out of its folder",
                hint="Nothing was downloaded. Do not use this repository.",
            )
    prefix = f"{dataset.folder}/" if dataset.folder else ""
    below = [file for path, file in listing.files.items() if path.startswith(prefix)]
    files = _having(below, _PARQUET)
    folders = _folders_of_sets(files)
    if len(folders) > 1:
        names = ", ".join(f"{PREFIX}{name}/{folder}" for folder in sorted(folders)[:5])
        raise DataError(f"{name} has {len(folders)} data sets", hint=f"Name one: {names}.")
    files = files or _having(below, _OTHERS)
    if not files:
        raise DataError(f"{name} has no files of captions or images")
    if len(files) > _MOST_FILES:
        raise DataError(f"{name} has {len(files):,} files; capgen takes up to {_MOST_FILES:,}")
    return files


def _having(files: Collection[RemoteFile], suffixes: tuple[str, ...]) -> list[RemoteFile]:
    return [file for file in files if PurePosixPath(file.name).suffix.lower() in suffixes]


def _folders_of_sets(files: Collection[RemoteFile]) -> set[str]:
    """Return the folders of the data sets: a split's folder belongs to the one around it."""
    folders = {PurePosixPath(file.name).parent for file in files}
    return {str(path.parent if split_name(path.name) else path) for path in folders}


def _is_cached(dataset: HubDataset, file: RemoteFile, commit: str) -> bool:
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(dataset.identifier, file.name, revision=commit, repo_type=_KIND)
    return isinstance(found, str)
