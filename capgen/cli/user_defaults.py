"""The user's own defaults: config.toml, read for every command.

    model = "first/best-eval"      # every command that has the setting
    [caption]
    beams = 5                      # this command

An option comes first, then the environment, then this file, then capgen's own default. A key
above the sections is for every command that has the setting and can use the value, apart from
training's own (`capgen.config.commands.OWN`). What one command cannot use never stops another.
"""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import typer

from capgen.config import COMMANDS, OWN, parse_setting, variables
from capgen.config.toml_files import read_toml
from capgen.errors import UsageError, did_you_mean
from capgen.paths import config_file

logger = logging.getLogger(__name__)

# Command → setting → the settings class that has it.
Known = Mapping[str, Mapping[str, type]]


@dataclass(frozen=True)
class UserDefaults:
    """What the user's file sets for one command.

    Attributes:
        values: Setting → value.
        unused: Setting → why its value in the file, meant for all commands, is not used.
    """

    values: dict[str, Any] = field(default_factory=dict)
    unused: dict[str, str] = field(default_factory=dict)


def known_settings(root: Any) -> Known:
    """Return the settings that the file and the environment can set.

    Args:
        root: The app's root command.
    """
    known = {}
    for command, classes in COMMANDS.items():
        options = {item.name for item in root.commands[command].params}
        known[command] = {
            item.name: kind
            for kind in classes
            for item in dataclasses.fields(kind)
            if item.name in options and item.metadata["remembered"]
        }
    return known


def user_defaults(context: typer.Context, command: str) -> UserDefaults:
    """Return what the user's file sets for a command.

    Args:
        context: The root command's context.
        command: The command that was called.
    """
    path = config_file()
    content = read_toml(path, required=False)
    if not content:
        return UserDefaults()
    found = file_settings(content, command, known_settings(context.command), where=str(path))
    logger.debug("%s sets for %s: %s", path, command, found.values)
    return found


def file_settings(
    content: Mapping[str, Any], command: str, known: Known, *, where: str
) -> UserDefaults:
    """Return what a file sets for a command; the command's own section wins."""
    found = UserDefaults()
    sections = {name: part for name, part in content.items() if isinstance(part, dict)}
    for section in sections:
        check_section(section, known, where=where)
    for name, value in sections.get(command, {}).items():
        check_key(command, name, known, where=where)
        found.values[name] = check_value(known[command][name], name, value, where=where)
    for name, value in content.items():
        if name in sections:
            continue
        commands = check_key("", name, known, where=where)
        if command not in commands or name in found.values:
            continue
        accepted, refused = usable(name, value, commands, known, where=where)
        if command in accepted:
            found.values[name] = accepted[command]
        elif accepted or name in OWN.get(command, ()):
            found.unused[name] = refused[command]
        else:
            check_value(known[command][name], name, value, where=where)
    return found


def usable(
    name: str, value: Any, commands: Iterable[str], known: Known, *, where: str
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what becomes of a value that is meant for all commands that have the setting.

    Returns:
        Command → value where it is accepted, and command → why where it is not.
    """
    accepted, refused = {}, {}
    for command in commands:
        if name in OWN.get(command, ()):
            place = f"[{command}] of {config_file().name}"
            refused[command] = f"{name} is not for capgen {command}: set it under {place}"
            continue
        try:
            accepted[command] = check_value(known[command][name], name, value, where=where)
        except UsageError as error:
            refused[command] = f"not used by capgen {command}: {error.message}"
    return accepted, refused


def check_section(section: str, known: Known, *, where: str) -> None:
    """Check that a section is a command's."""
    if section not in known:
        raise UsageError(f"{where}: no settings for '{section}'", hint=did_you_mean(section, known))


def check_key(section: str, name: str, known: Known, *, where: str) -> list[str]:
    """Return the commands that have a setting."""
    if section:
        check_section(section, known, where=where)
    commands = [section] if section else [key for key in known if name in known[key]]
    names = {item for key in known for item in known[key] if section in ("", key)}
    if name not in names:
        of = f" of {section}" if section else ""
        raise UsageError(f"{where}: no setting '{name}'{of}", hint=did_you_mean(name, names))
    return commands


def check_value(home: type, name: str, value: Any, *, where: str) -> Any:
    """Return a value in the type of its setting."""
    try:
        checked = parse_setting(home, name, value) if isinstance(value, str) else value
        home(**{name: checked})
    except UsageError as error:
        raise UsageError(f"{where}: {error.message}", hint=error.hint) from error
    return checked


def listed(commands: Iterable[str]) -> str:
    """Return commands as text, as in `capgen caption and eval`."""
    *others, last = commands
    return "capgen " + (f"{', '.join(others)} and {last}" if others else last)


def unused_notes(context: typer.Context, command: str) -> list[str]:
    """Return what the user's file and environment set for all commands but this one.

    Args:
        context: The command's context.
        command: Its name.
    """
    notes = dict(context.obj.unused)
    for name in OWN.get(command, ()):
        own, shared = variables(name, command), variables(name)
        if any(os.environ.get(variable) for variable in own):
            notes.pop(name, None)
        elif os.environ.get(shared[0]):
            notes[name] = f"{shared[0]} is not for capgen {command}: set {own[0]}"
    given = {name for name in notes if on_command_line(context, name)}
    return [note for name, note in notes.items() if name not in given]


def on_command_line(context: typer.Context, name: str) -> bool:
    """Whether an option was given, and is not the user's own default."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"
