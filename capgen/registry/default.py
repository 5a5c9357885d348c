"""The model that the commands use where none is named.

A flag decides first, then the variable CAPGEN_MODEL, then `model` in the user's settings file,
then the bundled model.
"""

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
    """A model and who chose it.

    Attributes:
        name: What the model is called.
        source: `flag`, the variable, the settings file, or `default`.
    """

    name: str
    source: str


def default_model(flag: str | None = None) -> DefaultModel:
    """Return the model to use.

    Args:
        flag: What was asked for, if anything.

    Raises:
        UsageError: The settings file is not TOML, or its `model` is not text.
    """
    if flag is not None:
        return DefaultModel(flag, "flag")
    variable = os.environ.get(VARIABLE)
    if variable:
        return DefaultModel(variable, VARIABLE)
    file = config_file()
    name = read_toml(file, required=False).get(KEY)
    if name is None:
        return DefaultModel(BUNDLED, "default")
    if not isinstance(name, str) or not name:
        raise UsageError(f"{file}: {KEY} is {name!r}; it must be a model's name")
    return DefaultModel(name, str(file))


def save_default(name: str | None) -> Path:
    """Write the default into the user's settings file, whose other lines stay as they are.

    Args:
        name: A model's name; None removes the setting.

    Returns:
        The file.

    Raises:
        UsageError: The file is not TOML.
        StorageError: It cannot be written.
    """
    file = config_file()
    change_file(file, "", KEY, name)
    return file
