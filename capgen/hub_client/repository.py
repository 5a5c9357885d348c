"""A repository of the Hub, checked: names before anything is fetched, content afterwards.

Knows nothing about models.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from capgen.digests import file_digest
from capgen.errors import ModelError, NetworkError
from capgen.paths import storage_errors


@dataclass(frozen=True)
class RemoteFile:
    """One file of a repository.

    Attributes:
        name: Its path there.
        size: Bytes.
        sha256: Of its content, for large files.
        blob: Git's name of its content, for the others.
    """

    name: str
    size: int
    sha256: str = ""
    blob: str = ""

    def matches(self, file: Path) -> bool:
        """Whether a file on this machine has this content."""
        if file.stat().st_size != self.size:
            return False
        if self.sha256:
            return file_digest(file, ModelError) == self.sha256
        return git_blob(file.read_bytes()) == self.blob


@dataclass(frozen=True)
class Listing:
    """What a repository holds at one commit.

    Attributes:
        commit: The commit.
        private: Whether only some can see it.
        files: Path → file.
    """

    commit: str
    private: bool = False
    files: Mapping[str, RemoteFile] = field(default_factory=dict)


def list_repository(
    identifier: str, revision: str | None = None, *, token: str | None = None
) -> Listing:
    """Ask the Hub for a repository's files. The caller wraps this in `hub_errors`."""
    from huggingface_hub import HfApi

    info = HfApi().model_info(identifier, revision=revision, files_metadata=True, token=token)
    files = {}
    for sibling in info.siblings or ():
        large = sibling.lfs
        files[sibling.rfilename] = RemoteFile(
            sibling.rfilename,
            -1 if sibling.size is None else sibling.size,
            sha256=large.sha256 if large else "",
            blob=sibling.blob_id or "",
        )
    return Listing(info.sha or "", bool(info.private), files)


def check_content(identifier: str, folder: Path, files: Iterable[RemoteFile]) -> None:
    """Check that files have the content the Hub announced; remove those that have not.

    Raises:
        ModelError: One has not.
        NetworkError: One is not there.
        StorageError: One cannot be removed.
    """
    wrong = []
    for file in files:
        place = folder / file.name
        if not place.is_file():
            raise NetworkError(f"{identifier}: {file.name} was not fetched")
        if not file.matches(place):
            wrong.append(file.name)
            with storage_errors(place):
                place.resolve().unlink()
                place.unlink(missing_ok=True)
    if wrong:
        raise ModelError(
            f"{identifier}: what came as {wrong[0]} is not what the Hub announced",
            hint="It was removed. Try again; if it stays so, don't use this repository.",
        )


def git_blob(content: bytes) -> str:
    """Return git's name of a content."""
    header = b"blob %d\0" % len(content)
    return hashlib.sha1(header + content, usedforsecurity=False).hexdigest()
