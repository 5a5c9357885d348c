"""Write the generated pages docs/cli.md, api.md, records.md, and the generated parts of others.

    python -m capgen._build.make_reference

A test compares them with what this makes, so they cannot fall behind the code.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import re
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import typer.main

from capgen import config
from capgen._build.records_page import records_page
from capgen._build.review_keys import review_keys
from capgen.cli.app import build_app
from capgen.cli.user_defaults import known_settings
from capgen.data.formats import FORMATS
from capgen.errors import IMAGE_CODES

DOCS = Path(__file__).parent.parent.parent / "docs"
# Where users import from, in the page's order; `capgen.errors` follows as a tree.
PLACES = (
    *("capgen", "capgen.training", "capgen.evaluation", "capgen.metrics", "capgen.data"),
    *("capgen.hub", "capgen.registry", "capgen.distributed", "capgen.records"),
)
# Words of an option's text that are repeated under each command rather than referred to.
SHORT = 6
WIDTH = 100
MADE = "<!-- Made by `python -m capgen._build.make_reference`: do not edit. -->\n"
END = "<!-- End of what is made. -->"


def pages() -> dict[str, str]:
    """Return file name → text of every generated page."""
    return {
        "cli.md": cli_page(),
        "api.md": api_page(),
        "records.md": records_page(DOCS / "record.schema.json", MADE),
        "datasets.md": _with_part("datasets.md", _layouts()),
        "errors.md": _with_part("errors.md", _codes()),
        "reviewing.md": _with_part("reviewing.md", _keys()),
    }


def _with_part(name: str, lines: Iterable[str]) -> str:
    """Return a page with lines between the marks of what is made."""
    page = (DOCS / name).read_text(encoding="utf-8")
    before, begin, rest = page.partition(MADE)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"docs/{name} lacks the marks {MADE!r} and {END!r}")
    return "\n".join([before + begin, *lines, "", end + after])


def _layouts() -> Iterator[str]:
    """Yield the layouts of data sets that the readers describe."""
    for name, layout in FORMATS.items():
        yield _item(f"`{name}`: {layout.description}")


def _codes() -> Iterator[str]:
    for code, what in IMAGE_CODES.items():
        yield _item(f"`{code}`: {what}")


def _keys() -> Iterator[str]:
    """Yield the table of the review page's keys."""
    yield from ("| Key | What it does |", "|---|---|")
    for keys, what in review_keys():
        yield f"| {' '.join(f'`{key}`' for key in keys)} | {what} |"


def _item(text: str) -> str:
    return textwrap.fill(
        f"- {text}",
        width=WIDTH,
        subsequent_indent="  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def cli_page() -> str:
    """Return the reference of all commands and options."""
    root = typer.main.get_command(build_app())
    known = known_settings(root)
    described: dict[tuple[str, str], str] = {}
    lines = ["# Commands", "", MADE, *_introduction(root)]
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
    end = (
        ")" if returned is inspect.Signature.empty or inspect.isclass(item) else f") -> {returned}"
    )
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


def main() -> None:
    """Write the pages."""
    for name, text in pages().items():
        (DOCS / name).write_text(text, encoding="utf-8")
        print(DOCS / name, file=sys.stderr)


if __name__ == "__main__":
    main()
