"""Pulling a model: fetched, checked, and pinned to its commit."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from pathlib import Path

from capgen.digests import file_digest
from capgen.errors import ModelError, UsageError
from capgen.hub_client.pulled import PulledModel
from capgen.models.folder import ModelFolder
from capgen.models.hub_files import Limits
from capgen.models.kinds import check_captioner
from capgen.models.resolve import fetch
from capgen.models.safetensors_index import read_index


def pull_model(
    name: str,
    *,
    revision: str | None = None,
    trust_remote_code: bool = False,
    limits: Limits | None = None,
) -> PulledModel:
    """Fetch a model into Hugging Face's cache and record its commit.

    From then on its bare name means this commit, with or without a network.

    Args:
        name: `USER/NAME`, or `USER/NAME@REVISION`.
        revision: Branch, tag or commit.
        trust_remote_code: Fetch its Python files, too.
        limits: What it may cost.

    Raises:
        ModelNotFoundError: No such repository or revision, or it is no model.
        UnsafeModelError: It has pickled weights only, or names that lead out of its folder.
        ModelError: It is too large, came damaged, or a part is missing.
        NetworkError: The Hub cannot be reached.
        UsageError: Two revisions were given, or the token has characters that no token has.
    """
    identifier, _, tag = name.partition("@")
    if tag and revision:
        raise UsageError(f"{name} and --revision {revision} both say a revision: give one")
    asked = revision or tag or None
    folder = fetch(
        identifier, asked, trust_remote_code=trust_remote_code, limits=limits, recheck=True
    )
    check_whole(folder)
    record = PulledModel(
        identifier=identifier,
        commit=folder.revision,
        asked=asked or "main",
        pulled=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        files={name: _entry(file) for name, file in _files(folder.path)},
        code=trust_remote_code,
    )
    record.write()
    return record


def check_whole(folder: ModelFolder) -> None:
    """Check that a model has its parts, without loading it.

    Raises:
        ModelError: A part is missing or damaged.
        UnsafeModelError: The weights are a pickle, or lie elsewhere.
    """
    _ = folder.config
    folder.check_weights()
    for file in sorted(folder.path.glob("model*.safetensors")):
        read_index(file)
    try:
        _ = folder.preprocessor
        tokenizers = ("tokenizer.json", "vocab.json", "vocab.txt")
        if not any((folder.path / name).is_file() for name in tokenizers):
            raise ModelError(f"{folder.name} has no tokenizer ({tokenizers[0]})")
    except ModelError:
        # Other kinds lack a part by nature: then the kind is what is wrong.
        check_captioner(folder.name, folder.config, trust_remote_code=True)
        raise


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            yield file.relative_to(folder).as_posix(), file


def _entry(file: Path) -> dict[str, int | str]:
    return {"size": file.stat().st_size, "sha256": file_digest(file, ModelError)}
