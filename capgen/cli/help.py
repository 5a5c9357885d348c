"""The layout of help: flags as they are typed, and paragraphs that fit the terminal."""

from __future__ import annotations

import inspect
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup


def tidy_help(app: typer.Typer) -> None:
    """Tidy the help of an app and all its commands.

    Removes `<bool>` after flags, which looks like a value, puts arguments in capitals, and
    removes the source's line breaks from paragraphs.
    """
    app.info.cls = _Group
    if app.registered_callback is not None:
        app.registered_callback.help = _flowing(app.registered_callback.callback)
    for command in app.registered_commands:
        command.cls = _Command
        command.help = _flowing(command.callback)
    for group in app.registered_groups:
        assert group.typer_instance is not None
        tidy_help(group.typer_instance)


def examples(*commands: str) -> str:
    """Return the end of a command's help: commands to type."""
    return "\n\n".join(("Examples:", *commands))


class _Command(TyperCommand):
    def get_params(self, ctx: Any) -> list[Any]:
        return _plain(super().get_params(ctx))


class _Group(TyperGroup):
    def get_params(self, ctx: Any) -> list[Any]:
        return _plain(super().get_params(ctx))


def _plain(parameters: list[Any]) -> list[Any]:
    for parameter in parameters:
        if getattr(parameter, "is_flag", False):
            parameter.metavar = ""
        elif parameter.param_type_name == "argument" and parameter.metavar is None:
            parameter.metavar = parameter.name.upper()
    return parameters


def _flowing(function: Any) -> str:
    paragraphs = (inspect.getdoc(function) or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
