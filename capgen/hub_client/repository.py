"""A repository of the Hub, checked: names before anything is fetched, content afterwards.

Knows nothing about models beyond the names of their files.
"""

from __future__ import annotations

import fnmatch
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from capgen.errors import ModelError, NetworkError, UnsafeModelError
from capgen.models.folder import CARD_FILE, DECODER_GRAPH, ENCODER_GRAPH, NOTICE_FILES
from capgen.paths import storage_errors

# All that is ever fetched, by name: nothing in folders but the graphs.
MODEL_FILES = (
    *("*.json", "*.txt", "model*.safetensors", ENCODER_GRAPH, DECODER_GRAPH),
    *(CARD_FILE, *NOTICE_FILES),  # on which terms
)
CODE_FILES = ("*.py",)
_LARGE = (".safetensors", ".onnx")
_UNSAFE_NAME = re.compile(r"(^|/)\.\.?(/|$)|^/|//|\\|^[A-Za-z]:|[\x00-\x1f]")


@dataclass(frozen=True)
class Limits:
    """What a repository may cost.

    Attributes:
        text_bytes: Largest file that is not weights.
        total_bytes: All files that are fetched.
        files: How many of them.
    """

    text_bytes: int = 64 << 20
    total_bytes: int = 32 << 30
    files: int = 200


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
            with file.open("rb") as stream:
                return hashlib.file_digest(stream, "sha256").hexdigest() == self.sha256
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


def wanted_files(
    identifier: str, listing: Listing, *, code: bool = False, limits: Limits | None = None
) -> list[RemoteFile]:
    """Return the files of a repository that make a model.

    Args:
        identifier: The repository, for messages.
        listing: What it holds.
        code: Python files, too.
        limits: What it may cost.

    Raises:
        UnsafeModelError: A name would lead out of the model's folder.
        ModelError: There are too many files, or they are too large.
    """
    limits = limits or Limits()
    for name in listing.files:
        if _UNSAFE_NAME.search(name):
            raise UnsafeModelError(
                f"{identifier} holds a file named {name!r}, which leads out of its folder",
                hint="Nothing was fetched. Don't use this repository.",
            )
    patterns = MODEL_FILES + CODE_FILES if code else MODEL_FILES
    files = [file for name, file in sorted(listing.files.items()) if _matches(name, patterns)]
    _check_sizes(identifier, files, limits)
    return files


def _matches(name: str, patterns: Iterable[str]) -> bool:
    flat = "/" not in name
    return any(name == p or (flat and fnmatch.fnmatchcase(name, p)) for p in patterns)


def _check_sizes(identifier: str, files: Sequence[RemoteFile], limits: Limits) -> None:
    for file in files:
        if file.size < 0:
            raise ModelError(f"{identifier} does not say how large {file.name} is")
        if file.size > limits.text_bytes and not file.name.endswith(_LARGE):
            raise ModelError(
                f"{identifier} has a {file.name} of {file.size:,} bytes; "
                f"at most {limits.text_bytes:,} are read",
            )
    total = sum(file.size for file in files)
    if total > limits.total_bytes or len(files) > limits.files:
        raise ModelError(
            f"{identifier} has {len(files)} files of {total:,} bytes; "
            f"at most {limits.files} of {limits.total_bytes:,} are fetched",
            hint="`capgen hub pull --max-gb N` fetches larger ones.",
        )


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
