"""`capgen config`: show, change and find the user's own defaults."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from capgen.cli.console import Console
from capgen.cli.help import examples
from capgen.cli.options import Json
from capgen.cli.user_defaults import (
    check_key,
    check_value,
    file_settings,
    find_command,
    known_settings,
    listed_commands,
    usable,
)
from capgen.config import COMMANDS, variables
from capgen.config.named_prompts import SECTION as PROMPTS
from capgen.config.named_prompts import check_named_prompt, named_prompts, own_prompts
from capgen.config.toml_files import read_toml
from capgen.config.user_file import change_file
from capgen.errors import UsageError
from capgen.paths import config_file

WHERE = "capgen config"

config_app = typer.Typer(
    name="config",
    help="Show and change your own defaults.",
    no_args_is_help=True,
    epilog=examples(
        "capgen config set model first/best-eval",
        "capgen config set caption.beams 5",
        "capgen config set prompts.postcard 'a postcard from {place}'",
        "capgen config show",
    ),
)

Key = Annotated[
    str,
    typer.Argument(
        metavar="KEY",
        help="A setting, COMMAND.SETTING to set it for one command, or prompts.NAME for what "
        "--prompt NAME stands for.",
    ),
]
For = Annotated[
    str | None,
    typer.Option(
        "--for",
        metavar="COMMAND",
        help=f"Only for this command: {', '.join(COMMANDS)}.",
        show_default=False,
    ),
]


@config_app.command("path", epilog=examples("capgen config path"))
def path_command() -> None:
    """Print the path of your settings file, even if it does not exist yet."""
    Console().data(str(config_file()))


@config_app.command("show", epilog=examples("capgen config show"))
def show_command(
    context: typer.Context,
    everything: Annotated[
        bool, typer.Option("--all", help="Include settings that still have capgen's default.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show what your settings file and the environment set."""
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


@config_app.command(
    "set",
    epilog=examples("capgen config set caption.beams 5", "capgen config set beams 5 --for caption"),
)
def set_command(
    context: typer.Context,
    key: Key,
    value: Annotated[str, typer.Argument(metavar="VALUE")],
    command: For = None,
) -> None:
    """Set a default for one command, or for all commands that have the setting."""
    path = config_file()
    section, name = _section_and_name(key, command)
    if section == PROMPTS:
        change_file(path, section, name, check_named_prompt(name, value, where=WHERE))
        Console().note(f"--prompt {name} now stands for: {value} (in {path})")
        return
    known = known_settings(context.find_root().command)
    commands = check_key(section, name, known, where=WHERE)
    refused: dict[str, str] = {}
    if section:
        accepted = {section: check_value(known[section][name], name, value, where=WHERE)}
    else:
        accepted, refused = usable(name, value, commands, known, where=WHERE)
    if not accepted:
        check_value(known[commands[0]][name], name, value, where=WHERE)
    checked = next(iter(accepted.values()))
    # Types that TOML lacks, such as paths, are written as text.
    plain = isinstance(checked, bool | int | float)
    change_file(path, section, name, checked if plain else value)
    console = Console()
    console.note(f"{name} is {value} for {listed_commands(accepted)} (in {path})")
    for note in refused.values():
        console.note(note)


@config_app.command("unset", epilog=examples("capgen config unset caption.beams"))
def unset_command(context: typer.Context, key: Key, command: For = None) -> None:
    """Return to capgen's own default."""
    path = config_file()
    section, name = _section_and_name(key, command)
    # What is in the file can be removed from it, even if it is not a setting.
    if not change_file(path, section, name, None):
        if section == PROMPTS:
            raise UsageError(f"{key} is not set in {path}")
        check_key(section, name, known_settings(context.find_root().command), where=WHERE)
        raise UsageError(f"{key} is not set in {path}")
    Console().note(f"{key} is no longer set in {path}")


def _section_and_name(key: str, command: str | None) -> tuple[str, str]:
    section, _, name = key.rpartition(".")
    asked = (command or "").replace(" ", ".")
    if section and asked and section != asked:
        raise UsageError(f"{key} and --for {command} name different commands")
    section = section or asked
    return section, name if section == PROMPTS else name.replace("-", "_")


def _rows(context: typer.Context, everything: bool) -> list[dict[str, Any]]:
    """Return every setting of every command with its value and where it comes from."""
    root = context.find_root().command
    path = config_file()
    known = known_settings(root)
    content = read_toml(path, required=False)
    rows = []
    for command, settings in known.items():
        filed = file_settings(content, command, known, where=str(path)).values
        defaults = {item.name: item.default for item in find_command(root, command).params}
        for name in settings:
            value, source = defaults[name], "default"
            if name in filed:
                value, source = filed[name], str(path)
            variable = next((v for v in variables(name, command) if os.environ.get(v)), None)
            if variable is not None:
                value, source = os.environ[variable], variable
            if everything or source != "default":
                plain = value is None or isinstance(value, bool | int | float)
                shown = value if plain else str(value)
                rows.append({"command": command, "setting": name, "value": shown, "source": source})
    return rows + _prompt_rows(path, everything)


def _prompt_rows(path: Path, everything: bool) -> list[dict[str, Any]]:
    """Return the prompts that have a name, in rows like those of settings."""
    own = own_prompts(path)
    shown = named_prompts(path) if everything else own
    return [
        {
            "command": PROMPTS,
            "setting": name,
            "value": text,
            "source": str(path) if name in own else "default",
        }
        for name, text in shown.items()
    ]
