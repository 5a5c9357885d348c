"""Which files of a Hub repository make a model, and what they may cost."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from capgen.errors import ModelError, UnsafeModelError
from capgen.hub_client.repository import Listing, RemoteFile
from capgen.models.folder import CARD_FILE, DECODER_GRAPH, ENCODER_GRAPH, NOTICE_FILES

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
