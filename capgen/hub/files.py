"""The files that a push sends, except for the card and its examples."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from capgen.digests import file_digest
from capgen.errors import ModelError
from capgen.hub.model_code import (
    CONCEPT_HEAD_FILE,
    ENCODER_FILE,
    MODELING_FILE,
    code_files,
    config_with_code,
)
from capgen.hub_client.repository import git_blob
from capgen.models.folder import (
    CALIBRATION_FILE,
    CONCEPTS_FILE,
    CONFIG_FILE,
    DECODER_GRAPH,
    ENCODER_GRAPH,
    GENERATION_FILE,
    NOTICE_FILES,
    PROCESSOR_FILE,
    TOKENIZER_FILE,
    WEIGHTS_INDEX_FILE,
    ModelFolder,
)
from capgen.models.preprocessing.preprocess import FILE_NAME as PREPROCESSOR_FILE
from capgen.models.provenance import PROVENANCE_FILE
from capgen.models.safetensors_index import read_index

TOKENIZER_CONFIG_FILE = "tokenizer_config.json"
# Keys in which transformers records where a part was loaded from, as in `encoder._name_or_path`.
_ORIGINS = ("_name_or_path", "name_or_path", "tokenizer_file", "special_tokens_map_file")
EXAMPLES_FOLDER = "examples"
# Files other than weights that a model folder may have.
_KNOWN = (
    *(GENERATION_FILE, PREPROCESSOR_FILE, PROCESSOR_FILE, TOKENIZER_FILE, WEIGHTS_INDEX_FILE),
    *(TOKENIZER_CONFIG_FILE, "special_tokens_map.json", "added_tokens.json"),
    *("vocab.json", "vocab.txt", "merges.txt", "chat_template.jinja"),
    *(ENCODER_GRAPH, DECODER_GRAPH, CALIBRATION_FILE, CONCEPTS_FILE),
)


@dataclass(frozen=True)
class PushFile:
    """A file to push: its path in the repository, and a local file or the content."""

    name: str
    source: Path | bytes

    @cached_property
    def size(self) -> int:
        """Bytes."""
        return len(self.source) if isinstance(self.source, bytes) else self.source.stat().st_size

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the content."""
        if isinstance(self.source, bytes):
            return hashlib.sha256(self.source).hexdigest()
        return file_digest(self.source, ModelError)

    @cached_property
    def blob(self) -> str:
        """Git's hash of the content."""
        return git_blob(self.source if isinstance(self.source, bytes) else self.source.read_bytes())


def model_files(folder: ModelFolder) -> list[PushFile]:
    """Check a model, and return its files as they are pushed, without card and examples."""
    config = config_with_code(folder)
    folder.check_weights()
    _ = folder.preprocessor
    if not (folder.path / TOKENIZER_FILE).is_file():
        raise ModelError(f"{folder.path} has no {TOKENIZER_FILE}: it would not load from the Hub")
    files = [PushFile(CONFIG_FILE, _public_config(config))]
    if (folder.path / PROVENANCE_FILE).is_file():
        files.append(PushFile(PROVENANCE_FILE, _public_provenance(folder)))
    weights = sorted(folder.path.glob("model*.safetensors"))
    for file in weights:
        read_index(file)
    licences = sorted(file for pattern in NOTICE_FILES for file in folder.path.glob(pattern))
    named = [folder.path / name for name in _KNOWN]
    for file in (*named, *weights, *licences):
        if file.is_file():
            name = file.relative_to(folder.path).as_posix()
            has_paths = name == TOKENIZER_CONFIG_FILE
            files.append(PushFile(name, _public_config(_content(file)) if has_paths else file))
    files += [PushFile(name, content) for name, content in code_files(folder).items()]
    return sorted(files, key=lambda file: file.name)


def is_ours(name: str) -> bool:
    """Return whether a push may have written this file; other files are left alone."""
    if "/" not in name and name.startswith("model") and name.endswith(".safetensors"):
        return True
    ours = (*_KNOWN, PROVENANCE_FILE, MODELING_FILE, ENCODER_FILE, CONCEPT_HEAD_FILE)
    return name in ours or name.startswith(f"{EXAMPLES_FOLDER}/")


def _public_provenance(folder: ModelFolder) -> bytes:
    """Return `capgen.json` without local paths."""
    file = folder.path / PROVENANCE_FILE
    try:
        record = json.loads(_content(file))
    except (ValueError, RecursionError) as error:
        raise ModelError(f"Cannot read {file}: {error}") from error
    return (json.dumps(without_paths(record), indent=2) + "\n").encode()


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ModelError(f"Cannot read {file}: {error.strerror}") from error


def _public_config(content: bytes) -> bytes:
    """Return a transformers configuration without local paths; unchanged if it has none."""
    try:
        config = json.loads(content)
    except (ValueError, RecursionError):
        return content  # damage is reported where the file is read
    public = _without_origins(config)
    return content if public == config else (json.dumps(public, indent=2) + "\n").encode()


def _without_origins(value: Any) -> Any:
    # Only under those keys: a token of the vocabulary may look like a path.
    if isinstance(value, list):
        return [_without_origins(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    return {
        key: without_paths(item) if key in _ORIGINS else _without_origins(item)
        for key, item in value.items()
    }


def without_paths(value: Any) -> Any:
    """Return a record with absolute and relative paths cut to file names, for privacy."""
    if isinstance(value, Mapping):
        return {key: without_paths(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_paths(item) for item in value]
    if isinstance(value, str) and _is_path(value):
        return PurePosixPath(value.replace("\\", "/")).name
    return value


def _is_path(text: str) -> bool:
    absolute = PurePosixPath(text).is_absolute() or PureWindowsPath(text).is_absolute()
    return absolute or text.startswith(("~", "./", "../", ".\\", "..\\"))
