"""Records of pulled models: their commit and files.

The bare name of a pulled model refers to that commit until it is pulled again.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from capgen.errors import ModelError
from capgen.known_fields import from_known_fields
from capgen.paths import data_dir, write_text


@dataclass(frozen=True, kw_only=True)
class PulledModel:
    """A pulled model.

    Attributes:
        identifier: `USER/NAME`.
        commit: The commit that was downloaded.
        asked: The requested branch, tag or commit.
        pulled: UTC time, ISO 8601.
        files: Name → size in bytes and sha256.
        code: Whether its Python files were downloaded.
    """

    identifier: str
    commit: str
    asked: str = "main"
    pulled: str = ""
    files: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    code: bool = False

    def write(self) -> Path:
        """Write the record and return its file."""
        file = _file(self.identifier)
        write_text(file, json.dumps(dataclasses.asdict(self), indent=2) + "\n")
        return file

    def cached_in(self) -> Path | None:
        """Return its folder in Hugging Face's cache, if all its files are there."""
        from huggingface_hub import constants
        from huggingface_hub.file_download import repo_folder_name

        name = repo_folder_name(repo_id=self.identifier, repo_type="model")
        folder = Path(constants.HF_HUB_CACHE, name, "snapshots", self.commit)
        return folder if all((folder / file).is_file() for file in self.files) else None


def pulled_folder() -> Path:
    """Return the folder of the records."""
    return data_dir() / "pulled"


def read_pulled(identifier: str) -> PulledModel | None:
    """Return the record of a model if it was pulled; raise ModelError if it is damaged."""
    file = _file(identifier)
    try:
        exists = file.is_file()
    except OSError:  # the name is too long for a file
        return None
    return _read(file) if exists else None


def _file(identifier: str) -> Path:
    # Hub names cannot contain `--`, so two models never share a file.
    return pulled_folder() / (identifier.replace("/", "--") + ".json")


def _read(file: Path) -> PulledModel:
    damaged = ModelError(
        f"The record {file} is damaged", hint="Delete it, and pull the model again."
    )
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        model = from_known_fields(PulledModel, record)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise damaged from error
    if not isinstance(model.commit, str) or not isinstance(model.files, dict):
        raise damaged
    return model
