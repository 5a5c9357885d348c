"""The text of docs/cli.md: the commands and their options, from their help."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Iterator, Mapping
from typing import Any

import typer.main

from capgen import config
from capgen.cli.app import build_app
from capgen.cli.user_defaults import known_settings

# Words of an option's text that are repeated under each command rather than referred to.
SHORT = 6


def cli_page(made: str) -> str:
    """Return the page; `made` is the line that says that it is made."""
    root = typer.main.get_command(build_app())
    known = known_settings(root)
    described: dict[tuple[str, str], str] = {}
    lines = ["# Commands", "", made, *_introduction(root)]
    for path, command in _commands(root, ("capgen",)):
        name = " ".join(path)
        lines += [f"## {name}", "", *_usage(name, command), *_paragraphs(command.help or ""), ""]
        lines += _options(name, command, known.get(".".join(path[1:]), {}), described)
        if name == "capgen train":
            lines += _other_defaults()
        examples = re.findall(r"^(?:capgen|find) .+$", command.epilog or "", re.MULTILINE)
        if examples:
            lines += ["```console", *examples, "```", ""]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines))


def _introduction(root: Any) -> Iterator[str]:
    yield "`capgen COMMAND --help` shows the same. Options marked \\* can also be set in the"
    yield "environment and in your settings file: see"
    yield "[configuration](configuration.md)."
    yield ""
    yield " · ".join(f"[{name}](#capgen-{name})" for name in root.commands)
    yield ""


def _commands(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, command
    for name, child in getattr(command, "commands", {}).items():
        yield from _commands(child, (*path, name))


def _usage(name: str, command: Any) -> Iterator[str]:
    """Yield how a command is written, if it takes more than options."""
    arguments = [item for item in command.params if item.param_type_name == "argument"]
    shown = [(item.metavar or item.name.upper()) + "..." * (item.nargs == -1) for item in arguments]
    if shown:
        yield f"`{' '.join([name, *shown])}`"
        yield ""


def _is_option(item: Any) -> bool:
    hidden = getattr(item, "hidden", False)
    return item.param_type_name == "option" and not hidden and item.name != "help"


def _options(
    name: str, command: Any, settings: Mapping[str, type], described: dict[tuple[str, str], str]
) -> Iterator[str]:
    """Yield the list of a command's options.

    Args:
        name: The command's name.
        command: The command.
        settings: Which options the settings file can set, and their settings classes.
        described: Option and text of what the page describes so far, and under which command;
            is added to.
    """
    elsewhere: dict[str, list[str]] = {}
    panel = None
    options = filter(_is_option, command.params)
    # As `--help` does: those without a panel come first.
    for item in sorted(options, key=lambda option: option.rich_help_panel is not None):
        flags = ", ".join(f"`{flag}`" for flag in (*item.opts, *item.secondary_opts))
        flags += "\\*" if item.name in settings or item.envvar else ""
        text = _description(item, settings.get(item.name))
        place = described.setdefault((flags, text), name)
        # A reference is no shorter than a short text.
        if place != name and len(text.split()) > SHORT:
            elsewhere.setdefault(place, []).append(f"`{item.opts[0]}`")
            continue
        if item.rich_help_panel != panel:
            panel = item.rich_help_panel
            yield from ("", f"**{panel}**", "")
        yield f"- {flags}: {text}"
    yield ""
    for place, names in elsewhere.items():
        yield f"As for [{place}](#{place.replace(' ', '-')}): {', '.join(names)}."
        yield ""


def _description(item: Any, settings: type | None) -> str:
    """Return an option's help, and its default where it has one.

    Args:
        item: The option.
        settings: Its settings class, which has the default of an option that fills in a preset.
    """
    value = item.default
    if settings is not None:
        value = next(f.default for f in dataclasses.fields(settings) if f.name == item.name)
    default = _default(value)
    help = " ".join((item.help or "").split())
    return f"{help} Default: {default}." if default else help


def _default(value: Any) -> str:
    if value is None or value is False or value in ("", ()) or callable(value):
        return ""
    if value is True:
        return "on"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def _other_defaults() -> Iterator[str]:
    """Yield what presets and objectives of training set differently from the defaults."""
    yield "These replace the defaults above; `clip-gpt2` is the preset if none is given:"
    yield ""
    for preset, values in config.TRAIN_PRESETS.items():
        yield f"- `--preset {preset}`: {_assignments(values)}"
    for objective, presets in config.OBJECTIVE_DEFAULTS.items():
        for preset, values in presets.items():
            chosen = f" --preset {preset}" if preset else ""
            yield f"- `--objective {objective}{chosen}`: {_assignments(values)}"
    yield ""


def _assignments(values: Mapping[str, Any]) -> str:
    return ", ".join(f"`{name}={value}`" for name, value in values.items())


def _paragraphs(text: str) -> list[str]:
    return inspect.cleandoc(text).splitlines()
