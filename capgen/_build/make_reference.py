"""Write the generated pages: docs/cli.md, docs/settings.md and docs/api.md.

    python -m capgen._build.make_reference

A test compares them with what this makes, so they cannot fall behind the code.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

import capgen
from capgen import config
from capgen.cli.app import build_app
from capgen.cli.user_defaults import known_settings

DOCS = Path(__file__).parent.parent.parent / "docs"
# Where users import from, in the page's order; `capgen.errors` follows as a tree.
PLACES = (
    *("capgen", "capgen.training", "capgen.evaluation", "capgen.metrics", "capgen.data"),
    *("capgen.hub", "capgen.registry", "capgen.records"),
)
MADE = "<!-- Made by `python -m capgen._build.make_reference`: do not edit. -->\n"


def pages() -> dict[str, str]:
    """Return file name → text of every generated page."""
    return {"cli.md": cli_page(), "settings.md": settings_page(), "api.md": api_page()}


def cli_page() -> str:
    """Return the reference of all commands and options."""
    lines = ["# Commands", "", MADE, "`capgen COMMAND --help` says the same.", ""]
    for path, command in _commands(typer.main.get_command(build_app()), ("capgen",)):
        lines += [f"## {' '.join(path)}", "", *_paragraphs(command.help or ""), ""]
        arguments = [item for item in command.params if item.param_type_name == "argument"]
        usage = [
            (item.metavar or item.name.upper()) + "..." * (item.nargs == -1) for item in arguments
        ]
        lines += ["```text", " ".join([*path, "[OPTIONS]", *usage]), "```", ""]
        rows = [_option_row(item) for item in command.params if _is_option(item)]
        if rows:
            lines += ["| Option | Default | |", "|---|---|---|", *rows, ""]
        examples = re.findall(r"^(?:capgen|find) .+$", command.epilog or "", re.MULTILINE)
        if examples:
            lines += ["```console", *examples, "```", ""]
    return "\n".join(lines)


def _commands(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, command
    for name, child in getattr(command, "commands", {}).items():
        yield from _commands(child, (*path, name))


def _is_option(item: Any) -> bool:
    hidden = getattr(item, "hidden", False)
    return item.param_type_name == "option" and not hidden and item.name != "help"


def _option_row(item: Any) -> str:
    names = ", ".join(f"`{name}`" for name in (*item.opts, *item.secondary_opts))
    return f"| {names} | {_default(item.default)} | {_cell(item.help or '')} |"


def _default(value: Any) -> str:
    if value is None or value is False or value == () or callable(value):
        return ""
    return "on" if value is True else f"`{value}`"


def settings_page() -> str:
    """Return the settings of the commands: names, variables, defaults, ranges."""
    lines = ["# Settings", "", MADE]
    lines += [
        "Each can be given as an option, in the environment or in your own settings file; "
        "[configuration](configuration.md) says how, and which wins.",
        "",
    ]
    for command, settings in known_settings(typer.main.get_command(build_app())).items():
        lines += [f"## [{command}]", "", "| Setting | Variable | Default | |", "|---|---|---|---|"]
        for name, kind in settings.items():
            field = next(item for item in dataclasses.fields(kind) if item.name == name)
            lines.append(_setting_row(field, command))
        lines.append("")
    lines += ["## Presets of `capgen train`", "", "| Preset | Sets |", "|---|---|"]
    for name, values in config.TRAIN_PRESETS.items():
        shown = ", ".join(f"`{key} = {value!r}`" for key, value in values.items())
        lines.append(f"| `{name}` | {shown} |")
    return "\n".join([*lines, ""])


def _setting_row(field: Any, command: str) -> str:
    default = "" if field.default is None else f"`{field.default}`"
    if isinstance(field.default, float):
        default = f"`{field.default:g}`"
    names = ", ".join(f"`{name}`" for name in reversed(config.variables(field.name, command)))
    return f"| `{field.name}` | {names} | {default} | {_cell(config.described(field))} |"


def api_page() -> str:
    """Return the reference of the public names of the package, from their docstrings."""
    lines = ["# Python API", "", MADE]
    lines += [
        "Import from the places below and nowhere deeper: their names stay, and are loaded on "
        "first use. Every other module is private by convention and may move.",
        "",
        *(f"- [`{place}`](#{place.replace('.', '')})" for place in (*PLACES, "capgen.errors")),
        "",
    ]
    for place in PLACES:
        lines += [f"## {place}", "", *_place(place)]
    lines += ["## capgen.errors", ""]
    tree = inspect.getdoc(importlib.import_module("capgen.errors")) or ""
    return "\n".join([*lines, "```", tree, "```", ""])


def _place(place: str) -> Iterator[str]:
    """Yield the sections of a place's functions and classes."""
    module = importlib.import_module(place)
    for name in sorted(module.__all__):
        item = getattr(module, name)
        if inspect.isclass(item) or inspect.isfunction(item):
            yield from _described(name, item, "###")


def _described(name: str, item: Any, level: str) -> list[str]:
    """Return the section of a function or class, its public methods included."""
    lines = [f"{level} {name}", ""]
    signature = _signature(name.rpartition(".")[2], item)
    if signature:
        lines += ["```python", signature, "```", ""]
    lines += [*_docstring(inspect.getdoc(item) or ""), ""]
    if not inspect.isclass(item):
        return lines
    for key, member in vars(item).items():
        inner = member.__func__ if isinstance(member, classmethod | staticmethod) else member
        if key.startswith("_") or not (inspect.isfunction(inner) or isinstance(member, property)):
            continue
        if inspect.getdoc(member):
            lines += _described(f"{name}.{key}", inner, level + "#")
    return lines


def _signature(name: str, item: Any) -> str:
    try:
        signature = inspect.signature(item)
    except (TypeError, ValueError):
        return ""
    names = [p for p in signature.parameters.values() if p.name not in ("self", "cls")]
    parts = list(_parameters(names))
    returned = signature.return_annotation
    end = ")" if returned is inspect.Signature.empty or inspect.isclass(item) else f") -> {returned}"
    text = f"{name}({', '.join(parts)}{end}"
    if len(text) <= 90:
        return text
    return "\n".join([f"{name}(", *(f"    {part}," for part in parts), end])


def _parameters(parameters: list[inspect.Parameter]) -> Iterator[str]:
    """Yield parameters as they are written, with the star before those given by name only."""
    starred = False
    for parameter in parameters:
        keyword = parameter.kind is inspect.Parameter.KEYWORD_ONLY
        if keyword and not starred:
            yield "*"
        positional = parameter.kind is inspect.Parameter.VAR_POSITIONAL
        starred = starred or keyword or positional
        stars = "*" * positional + "**" * (parameter.kind is inspect.Parameter.VAR_KEYWORD)
        text = stars + parameter.name
        if parameter.annotation is not inspect.Parameter.empty:
            text += f": {parameter.annotation}"
        if parameter.default is not inspect.Parameter.empty:
            made = "factory" in repr(parameter.default)
            text += " = ..." if made else f" = {parameter.default!r}"
        yield text


def _docstring(text: str) -> list[str]:
    """Return a docstring as Markdown: its sections as lists."""
    lines: list[str] = []
    for line in text.splitlines():
        section = re.fullmatch(r"(Args|Returns|Raises|Yields|Attributes):", line)
        entry = re.match(r"    (\*{0,2}\w[\w.]*): (.*)", line)
        if section:
            lines += [f"**{section[1]}**", ""]
        elif entry and _in_section(lines):
            lines.append(f"- `{entry[1]}`: {entry[2]}")
        elif line.startswith("    ") and _in_section(lines):
            lines.append("  " + line.strip())
        else:
            lines.append(line)
    return lines


def _in_section(lines: list[str]) -> bool:
    heads = [line for line in lines if line.startswith("**") and line.endswith("**")]
    return bool(heads)


def _paragraphs(text: str) -> list[str]:
    return inspect.cleandoc(text).splitlines()


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def main() -> None:
    """Write the pages."""
    for name, text in pages().items():
        (DOCS / name).write_text(text, encoding="utf-8")
        print(DOCS / name, file=sys.stderr)


if __name__ == "__main__":
    main()
