"""Which files of a Hub repository make a model, and how large they may be."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from capgen.errors import ModelError, UnsafeModelError
from capgen.hub_client.repository import Listing, RemoteFile, leads_out
from capgen.models.folder import CARD_FILE, DECODER_GRAPH, ENCODER_GRAPH, NOTICE_FILES

# All that capgen ever downloads, by name: nothing in folders but the graphs.
MODEL_FILES = (
    *("*.json", "*.txt", "model*.safetensors", ENCODER_GRAPH, DECODER_GRAPH),
    "*.jinja",  # chat templates
    "adapter_model.safetensors",
    # The second tokenizer of InstructBLIP.
    *(f"qformer_tokenizer/{name}" for name in ("tokenizer.json", "tokenizer_config.json")),
    *(f"qformer_tokenizer/{name}" for name in ("special_tokens_map.json", "vocab.txt")),
    *(CARD_FILE, *NOTICE_FILES),  # the terms of use
)
CODE_FILES = ("*.py",)
_LARGE = (".safetensors", ".onnx")


@dataclass(frozen=True)
class Limits:
    """The largest repository to download.

    Attributes:
        text_bytes: Size of a file other than weights.
        total_bytes: Size of all downloaded files.
        files: Number of downloaded files.
    """

    text_bytes: int = 64 << 20
    total_bytes: int = 32 << 30
    files: int = 200


def wanted_files(
    identifier: str, listing: Listing, *, code: bool = False, limits: Limits | None = None
) -> list[RemoteFile]:
    """Return the files of a repository that make a model, with `code` its Python files, too.

    Raises:
        UnsafeModelError: A name leads out of the model's folder.
        ModelError: There are too many files, or they are too large.
    """
    limits = limits or Limits()
    for name in listing.files:
        if leads_out(name):
            raise UnsafeModelError(
                f"{identifier} holds a file named {name!r}, which leads out of its folder",
                hint="Nothing was downloaded. Do not use this repository.",
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
            raise ModelError(f"{identifier} does not state the size of {file.name}")
        if file.size > limits.text_bytes and not file.name.endswith(_LARGE):
            raise ModelError(
                f"{identifier} has a {file.name} of {file.size:,} bytes; "
                f"the limit is {limits.text_bytes:,}"
            )
    total = sum(file.size for file in files)
    if total > limits.total_bytes or len(files) > limits.files:
        raise ModelError(
            f"{identifier} has {len(files)} files of {total:,} bytes; "
            f"the limit is {limits.files} files of {limits.total_bytes:,}",
            hint="Use `capgen hub pull --max-gb N` for larger ones.",
        )
