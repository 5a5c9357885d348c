"""The user's own defaults: config.toml, read for every command.

    model = "first/best-eval"      # every command that has the setting
    [caption]
    beams = 5                      # this command

An option comes first, then CAPGEN_SETTING in the environment, then this file, then capgen's
own default.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import typer

from capgen.config import (
    BatchOptions,
    DecodeOptions,
    EvalConfig,
    ImageLimits,
    InputOptions,
    TrainConfig,
    parse_setting,
)
from capgen.config.user_file import read_file
from capgen.errors import UsageError, did_you_mean
from capgen.paths import config_file

# Command → setting → the settings class that has it; None for the words that choose a model.
Known = dict[str, dict[str, type | None]]
CLASSES: dict[str, tuple[type, ...]] = {
    "caption": (DecodeOptions, BatchOptions, ImageLimits, InputOptions),
    "eval": (DecodeOptions, EvalConfig),
    "train": (TrainConfig,),
}


def known_settings(root: Any) -> Known:
    """Return the settings that the file and the environment can set.

    Args:
        root: The app's root command.
    """
    known: Known = {}
    for command, classes in CLASSES.items():
        homes = {field.name: kind for kind in classes for field in dataclasses.fields(kind)}
        options = root.commands[command].params
        names = [
            item.name for item in options if item.envvar or homes.get(item.name) is TrainConfig
        ]
        known[command] = {name: homes.get(name) for name in names}
    return known


def user_defaults(context: typer.Context) -> dict[str, dict[str, Any]]:
    """Return the file's settings by command, in the form of a context's `default_map`.

    Args:
        context: The root command's context.

    Raises:
        UsageError: The file cannot be read, or holds what is no setting.
    """
    path = config_file()
    content = read_file(path)
    if not content:
        return {}
    return file_settings(content, known_settings(context.command), where=str(path))


def file_settings(
    content: Mapping[str, Any], known: Known, *, where: str
) -> dict[str, dict[str, Any]]:
    """Return command → setting → value of what a file holds; a command's own section wins.

    Raises:
        UsageError: There is no such setting, or a value is not accepted.
    """
    found: dict[str, dict[str, Any]] = {command: {} for command in known}
    for section, name, value in entries(content):
        for command in check_key(section, name, known, where=where):
            checked = check_value(known[command][name], name, value, where=where)
            found[command].setdefault(name, checked)
    return found


def entries(content: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """Yield (section, setting, value), those of sections first; the section may be empty."""
    for section, value in content.items():
        if isinstance(value, dict):
            for name, inner in value.items():
                yield section, name, inner
    for name, value in content.items():
        if not isinstance(value, dict):
            yield "", name, value


def check_key(section: str, name: str, known: Known, *, where: str) -> list[str]:
    """Return the commands that a key sets something of.

    Raises:
        UsageError: There is no such command or setting.
    """
    if section and section not in known:
        raise UsageError(f"{where}: no settings for '{section}'", hint=did_you_mean(section, known))
    commands = [section] if section else [key for key in known if name in known[key]]
    names = {item for key in known for item in known[key] if not section or key == section}
    if name not in names:
        of = f" of {section}" if section else ""
        raise UsageError(f"{where}: no setting '{name}'{of}", hint=did_you_mean(name, names))
    return commands


def check_value(home: type | None, name: str, value: Any, *, where: str) -> Any:
    """Return a value in the type of its setting.

    Raises:
        UsageError: It is not of that type, or out of range.
    """
    if home is None:
        return str(value)
    try:
        checked = parse_setting(home, name, value) if isinstance(value, str) else value
        home(**{name: checked})
    except UsageError as error:
        raise UsageError(f"{where}: {error.message}", hint=error.hint) from error
    return checked
