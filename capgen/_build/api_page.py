"""The text of docs/api.md: the public names, from their docstrings."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from typing import Any

# Where users import from, in the page's order; `capgen.errors` follows as a tree.
PLACES = (
    *("capgen", "capgen.training", "capgen.evaluation", "capgen.metrics", "capgen.data"),
    *("capgen.hub", "capgen.registry", "capgen.distributed", "capgen.records"),
)


def api_page(made: str) -> str:
    """Return the page; `made` is the line that says that it is made."""
    lines = ["# Python API", "", made]
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
