"""Records of models that `capgen hub pull` fetched: which commit, which files.

Who asks for such a model by its bare name gets that commit until it is pulled again.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from capgen.errors import ModelError
from capgen.paths import data_dir, write_text


@dataclass(frozen=True, kw_only=True)
class PulledModel:
    """One pulled model.

    Attributes:
        identifier: `USER/NAME`.
        commit: What was fetched.
        asked: The branch, tag or commit that was asked for.
        pulled: UTC time, ISO 8601.
        files: Name → size in bytes and sha256.
        code: Whether its Python files were fetched, too.
    """

    identifier: str
    commit: str
    asked: str = "main"
    pulled: str = ""
    files: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    code: bool = False

    def write(self) -> Path:
        """Write the record; returns its file.

        Raises:
            StorageError: It cannot be written.
        """
        file = _file(self.identifier)
        write_text(file, json.dumps(dataclasses.asdict(self), indent=2) + "\n")
        return file

    def cached_in(self) -> Path | None:
        """Return the folder of Hugging Face's cache with all its files, if they are there."""
        from huggingface_hub import constants
        from huggingface_hub.file_download import repo_folder_name

        name = repo_folder_name(repo_id=self.identifier, repo_type="model")
        folder = Path(constants.HF_HUB_CACHE, name, "snapshots", self.commit)
        return folder if all((folder / file).is_file() for file in self.files) else None


def pulled_folder() -> Path:
    """Return the folder of the records."""
    return data_dir() / "pulled"


def read_pulled(identifier: str) -> PulledModel | None:
    """Return the record of a model, if it was pulled.

    Raises:
        ModelError: The record is damaged.
    """
    file = _file(identifier)
    try:
        there = file.is_file()
    except OSError:  # too long a name for a file
        return None
    return _read(file) if there else None


def _file(identifier: str) -> Path:
    # `--` cannot be part of a Hub name, so two models never share a file.
    return pulled_folder() / (identifier.replace("/", "--") + ".json")


def _read(file: Path) -> PulledModel:
    known = {item.name for item in dataclasses.fields(PulledModel)}
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        model = PulledModel(**{name: value for name, value in record.items() if name in known})
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ModelError(
            f"The record {file} is damaged", hint="Remove it, and pull the model again."
        ) from error
    if not isinstance(model.commit, str) or not isinstance(model.files, dict):
        raise ModelError(f"The record {file} is damaged", hint="Remove it.")
    return model
