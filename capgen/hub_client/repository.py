"""List the files of a repository on the Hub, and check their content after download."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from capgen.digests import file_digest
from capgen.errors import CapgenError, ModelError, NetworkError
from capgen.paths import storage_errors

_UNSAFE_NAME = re.compile(r"(^|/)\.\.?(/|$)|^/|//|\\|^[A-Za-z]:|[\x00-\x1f]")


@dataclass(frozen=True)
class RemoteFile:
    """A file of a repository; large files have an `sha256`, others only git's hash in `blob`."""

    name: str
    size: int
    sha256: str = ""
    blob: str = ""

    def matches(self, file: Path) -> bool:
        """Return whether a local file has this content."""
        if file.stat().st_size != self.size:
            return False
        if self.sha256:
            return file_digest(file, ModelError) == self.sha256
        return git_blob(file.read_bytes()) == self.blob


@dataclass(frozen=True)
class Listing:
    """The files of a repository at one commit, by path."""

    commit: str
    private: bool = False
    files: Mapping[str, RemoteFile] = field(default_factory=dict)


def leads_out(name: str) -> bool:
    """Whether the name of a file leads out of its repository's folder, or is no name."""
    return _UNSAFE_NAME.search(name) is not None


def list_repository(
    identifier: str,
    revision: str | None = None,
    *,
    token: str | None = None,
    repository_type: str = "model",
) -> Listing:
    """Ask the Hub for a repository's files; callers wrap this in `hub_errors`."""
    from huggingface_hub import HfApi

    info = HfApi().repo_info(
        identifier, revision=revision, repo_type=repository_type, files_metadata=True, token=token
    )
    files = {}
    for sibling in getattr(info, "siblings", None) or ():
        large = sibling.lfs
        files[sibling.rfilename] = RemoteFile(
            sibling.rfilename,
            -1 if sibling.size is None else sibling.size,
            sha256=large.sha256 if large else "",
            blob=sibling.blob_id or "",
        )
    return Listing(info.sha or "", bool(info.private), files)


def check_content(
    identifier: str,
    folder: Path,
    files: Iterable[RemoteFile],
    *,
    fault: type[CapgenError] = ModelError,
) -> None:
    """Check downloaded files against the Hub's listing, and delete those that differ.

    Raises:
        NetworkError: A file is not there.
        CapgenError: A file differs; it is of the class `fault`.
    """
    wrong = []
    for file in files:
        place = folder / file.name
        if not place.is_file():
            raise NetworkError(f"{identifier}: {file.name} was not downloaded")
        if not file.matches(place):
            wrong.append(file.name)
            with storage_errors(place):
                place.resolve().unlink()
                place.unlink(missing_ok=True)
    if wrong:
        raise fault(
            f"{identifier}: {wrong[0]} differs from what the Hub announced",
            hint="It was deleted. Try again; if this persists, do not use this repository.",
        )


def git_blob(content: bytes) -> str:
    """Return git's hash of a content."""
    header = b"blob %d\0" % len(content)
    return hashlib.sha1(header + content, usedforsecurity=False).hexdigest()
