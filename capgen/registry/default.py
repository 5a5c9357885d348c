"""The model that the commands use where none is named.

A flag decides first, then the variable CAPGEN_MODEL, then `model` in the user's settings file,
then the bundled model.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capgen.errors import UsageError
from capgen.models.resolve import BUNDLED
from capgen.paths import config_file, write_text

VARIABLE = "CAPGEN_MODEL"
KEY = "model"
_LINE = re.compile(r"^[ \t]*(?:model|\"model\"|'model')[ \t]*=.*\n?", re.MULTILINE)


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
    name = _read(file).get(KEY)
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
        UsageError: The file is not TOML, or has its `model` in a form that is not edited here.
        StorageError: It cannot be written.
    """
    file = config_file()
    before = _read(file)
    if KEY not in before and name is None:
        return file
    text = file.read_text(encoding="utf-8") if before or file.is_file() else ""
    table = re.search(r"^[ \t]*\[", text, re.MULTILINE)
    head = text if table is None else text[: table.start()]
    tail = "" if table is None else text[table.start() :]
    # JSON's strings are TOML's, DEL aside.
    value = json.dumps(name, ensure_ascii=False).replace("\x7f", "\\u007f")
    line = "" if name is None else f"{KEY} = {value}\n"
    new = line + _LINE.sub("", head) + tail
    wanted = {key: item for key, item in before.items() if key != KEY}
    if name is not None:
        wanted[KEY] = name
    if _parsed(new) != wanted:
        raise UsageError(f"{file} cannot be edited safely", hint=f"Set `{KEY}` in it yourself.")
    write_text(file, new)
    return file


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UsageError(f"Cannot read the settings in {file}: {error}") from error


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None
