"""`capgen config`: show, change and find the user's own defaults."""

from __future__ import annotations

import os
from typing import Annotated, Any

import typer

from capgen.cli.console import Console
from capgen.cli.help import examples
from capgen.cli.options import variable_name
from capgen.cli.user_defaults import (
    Known,
    check_key,
    check_value,
    file_settings,
    known_settings,
)
from capgen.config.user_file import change_file, read_file
from capgen.errors import UsageError
from capgen.paths import config_file

config_app = typer.Typer(
    name="config",
    help="Show and change your own defaults.",
    no_args_is_help=True,
    epilog=examples(
        "capgen config set model first/best-eval",
        "capgen config set caption.beams 5",
        "capgen config show",
    ),
)

Key = Annotated[
    str, typer.Argument(metavar="KEY", help="Setting, or COMMAND.SETTING for one command only.")
]


@config_app.command("path", epilog=examples("capgen config path"))
def path_command() -> None:
    """Print where the settings file is, or would be."""
    Console().data(str(config_file()))


@config_app.command("show", epilog=examples("capgen config show"))
def show_command(
    context: typer.Context,
    everything: Annotated[
        bool, typer.Option("--all", help="Also what nobody has set: capgen's own defaults.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what the settings file and the environment set, and what wins."""
    rows = _rows(context, everything)
    console = Console()
    if as_json:
        console.json(rows)
        return
    from rich.table import Column, Table

    table = Table("command", "setting", "value", Column("from", overflow="fold"))
    for row in rows:
        table.add_row(row["command"], row["setting"], str(row["value"]), row["source"])
    if rows:
        console.show(table)
    else:
        console.note(f"Nothing is set, neither in {config_file()} nor in the environment")


@config_app.command("set", epilog=examples("capgen config set caption.beams 5"))
def set_command(
    context: typer.Context, key: Key, value: Annotated[str, typer.Argument(metavar="VALUE")]
) -> None:
    """Set a default of your own."""
    path = config_file()
    known = known_settings(context.find_root().command)
    section, name, commands = _setting(key, known)
    checked = [check_value(known[c][name], name, value, where="capgen config") for c in commands]
    # As the setting has it; what TOML has no type for, such as a path, as text.
    plain = isinstance(checked[0], bool | int | float)
    change_file(path, section, name, checked[0] if plain else value)
    Console().note(f"{name} is {value} for {_listed(commands)}, by {path}")


@config_app.command("unset", epilog=examples("capgen config unset caption.beams"))
def unset_command(context: typer.Context, key: Key) -> None:
    """Go back to capgen's own default."""
    path = config_file()
    section, name, _ = _setting(key, known_settings(context.find_root().command))
    if not change_file(path, section, name, None):
        raise UsageError(f"{key} is not set in {path}")
    Console().note(f"{key} is no longer set in {path}")


def _listed(commands: list[str]) -> str:
    """Return commands as text, as in `capgen caption and eval`."""
    *others, last = commands
    return "capgen " + (f"{', '.join(others)} and {last}" if others else last)


def _rows(context: typer.Context, everything: bool) -> list[dict[str, Any]]:
    """Return every setting of every command with its value and where that is from."""
    root = context.find_root().command
    path = config_file()
    known = known_settings(root)
    filed = file_settings(read_file(path), known, where=str(path))
    rows = []
    for command, settings in known.items():
        defaults = {item.name: item.default for item in root.commands[command].params}  # type: ignore[attr-defined]
        for name in settings:
            value, source = defaults[name], "default"
            if name in filed[command]:
                value, source = filed[command][name], str(path)
            if os.environ.get(variable_name(name)):
                value, source = os.environ[variable_name(name)], variable_name(name)
            if everything or source != "default":
                plain = value is None or isinstance(value, bool | int | float)
                shown = value if plain else str(value)
                rows.append({"command": command, "setting": name, "value": shown, "source": source})
    return rows


def _setting(key: str, known: Known) -> tuple[str, str, list[str]]:
    """Return a key's section, its setting and the commands that have it.

    Raises:
        UsageError: There is no such setting.
    """
    section, _, name = key.rpartition(".")
    name = name.replace("-", "_")
    return section, name, check_key(section, name, known, where="capgen config")
