"""The default model: that of CAPGEN_MODEL, else of the user's settings file, else the bundled."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from capgen.config.toml_files import read_toml
from capgen.config.user_file import change_file
from capgen.errors import UsageError
from capgen.models.resolve import BUNDLED
from capgen.paths import config_file

VARIABLE = "CAPGEN_MODEL"
KEY = "model"


@dataclass(frozen=True)
class DefaultModel:
    """The name of a model, and what chose it.

    `source` is `flag`, the name of the variable, the path of the settings file, or `default`.
    """

    name: str
    source: str


def default_model(flag: str | None = None) -> DefaultModel:
    """Return the model to use; `flag` is the one named on the command line, if any."""
    if flag is not None:
        return DefaultModel(flag, "flag")
    if variable := os.environ.get(VARIABLE):
        return DefaultModel(variable, VARIABLE)
    file = config_file()
    name = read_toml(file, required=False).get(KEY)
    if name is None:
        return DefaultModel(BUNDLED, "default")
    if not isinstance(name, str) or not name:
        raise UsageError(f"{file}: {KEY} is {name!r}; it must be the name of a model")
    return DefaultModel(name, str(file))


def save_default(name: str | None) -> Path:
    """Write the default into the user's settings file, or remove it, and return the file.

    Other lines of the file are kept.
    """
    file = config_file()
    change_file(file, "", KEY, name)
    return file
