"""The user's own defaults: config.toml, read for every command.

    model = "first/best-eval"      # every command that has the setting
    [caption]
    beams = 5                      # this command only
    [prompts]
    short = "a photo of"           # not a setting: what --prompt short stands for

An option wins over the environment, the environment over this file, and this file over capgen's
own default. A value that one command cannot use never stops another command.
"""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import typer

from capgen.cli.console import listed
from capgen.config import COMMANDS, OWN, parse_setting, variables
from capgen.config.named_prompts import SECTION as PROMPTS
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
        unused: Setting → why this command does not use the value meant for all commands.
    """

    values: dict[str, Any] = field(default_factory=dict)
    unused: dict[str, str] = field(default_factory=dict)


def find_command(root: Any, command: str) -> Any:
    """Return a command of the app by its key in `COMMANDS`, as in `models.compare`."""
    for name in command.split("."):
        root = root.commands[name]
    return root


def known_settings(root: Any) -> Known:
    """Return the settings of the app that the file and the environment can set."""
    known = {}
    for command, classes in COMMANDS.items():
        options = {item.name for item in find_command(root, command).params if not item.required}
        known[command] = {
            item.name: kind
            for kind in classes
            for item in dataclasses.fields(kind)
            if item.name in options and item.metadata["remembered"]
        }
    return known


def use_user_defaults(context: typer.Context, group: str = "") -> None:
    """Take the defaults of the called subcommand from the user's file.

    `group` is the group it belongs to, with a dot at its end; empty for the root command.
    """
    subcommand = context.invoked_subcommand or ""
    path = config_file()
    content = read_toml(path, required=False)
    defaults = UserDefaults()
    if content:
        known = known_settings(context.find_root().command)
        defaults = file_settings(content, group + subcommand, known, where=str(path))
    logger.debug("%s sets for %s: %s", path, group + subcommand, defaults.values)
    context.obj = defaults
    # Training reports where each of its settings comes from, so it reads the file itself.
    if subcommand != "train":
        context.default_map = {subcommand: defaults.values}


def file_settings(
    content: Mapping[str, Any], command: str, known: Known, *, where: str
) -> UserDefaults:
    """Return what a file sets for a command; the command's own section wins."""
    defaults = UserDefaults()
    sections = file_sections(content)
    sections.pop(PROMPTS, None)
    for section in sections:
        check_section(section, known, where=where)
    for name, value in sections.get(command, {}).items():
        check_key(command, name, known, where=where)
        defaults.values[name] = check_value(known[command][name], name, value, where=where)
    for name, value in content.items():
        if isinstance(value, dict):
            continue
        commands = check_key("", name, known, where=where)
        if command not in commands or name in defaults.values:
            continue
        accepted, refused = usable(name, value, commands, known, where=where)
        if command in accepted:
            defaults.values[name] = accepted[command]
        elif accepted or name in OWN.get(command, ()):
            defaults.unused[name] = refused[command]
        else:
            check_value(known[command][name], name, value, where=where)
    return defaults


def file_sections(content: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return a file's sections by name; one inside another as in `models.compare`."""
    sections: dict[str, dict[str, Any]] = {}
    for name, table in content.items():
        if not isinstance(table, dict):
            continue
        inner = {key: value for key, value in table.items() if isinstance(value, dict)}
        sections |= {f"{name}.{key}": value for key, value in inner.items()}
        own = {key: value for key, value in table.items() if key not in inner}
        if own or not inner:
            sections[name] = own
    return sections


def usable(
    name: str, value: Any, commands: Iterable[str], known: Known, *, where: str
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return which commands accept a value meant for all, with the value, and why others do not."""
    accepted, refused = {}, {}
    for command in commands:
        if name in OWN.get(command, ()):
            place = f"[{command}] of {config_file().name}"
            refused[command] = f"{name} does not apply to capgen {command}: set it under {place}"
            continue
        try:
            accepted[command] = check_value(known[command][name], name, value, where=where)
        except UsageError as error:
            refused[command] = f"not used by {listed_commands([command])}: {error.message}"
    return accepted, refused


def check_section(section: str, known: Known, *, where: str) -> None:
    if section not in known:
        raise UsageError(f"{where}: no settings for '{section}'", hint=did_you_mean(section, known))


def check_key(section: str, name: str, known: Known, *, where: str) -> list[str]:
    """Return the commands that have a setting; there must be one."""
    if section:
        check_section(section, known, where=where)
    commands = [section] if section else [key for key in known if name in known[key]]
    names = {item for key in known for item in known[key] if section in ("", key)}
    if name not in names:
        of = f" of {section}" if section else ""
        raise UsageError(f"{where}: no setting '{name}'{of}", hint=did_you_mean(name, names))
    return commands


def check_value(home: type, name: str, value: Any, *, where: str) -> Any:
    try:
        checked = parse_setting(home, name, value) if isinstance(value, str) else value
        home(**{name: checked})
    except UsageError as error:
        raise UsageError(f"{where}: {error.message}", hint=error.hint) from error
    return checked


def listed_commands(commands: Iterable[str]) -> str:
    """Return commands as text, as in `capgen caption, eval and models compare`."""
    return "capgen " + listed([command.replace(".", " ") for command in commands])


def unused_notes(context: typer.Context, command: str) -> list[str]:
    """Return notes on values meant for all commands that this one does not use."""
    notes = dict(context.obj.unused)
    for name in OWN.get(command, ()):
        own, shared = variables(name, command), variables(name)
        if any(os.environ.get(variable) for variable in own):
            notes.pop(name, None)
        elif os.environ.get(shared[0]):
            notes[name] = f"{shared[0]} does not apply to capgen {command}: set {own[0]}"
    return [note for name, note in notes.items() if not on_command_line(context, name)]


def on_command_line(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"
