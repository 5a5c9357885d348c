"""The classes of all commands.

Their help has flags as they are typed and paragraphs that fit the terminal, and an error about
a value that the environment sets names the variable.
"""

from __future__ import annotations

import inspect
import os
import shlex
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from capgen.addresses import is_stored, is_url, without_credentials
from capgen.cli.switches import switches_in_one_column
from capgen.cli.variables import variable_of, with_variable, wrong_value
from capgen.errors import UsageError
from capgen.file_types import has_image_suffix


def tidy_help(app: typer.Typer) -> None:
    """Tidy the help of an app and all its commands.

    Removes `<bool>` after flags, which looks like a value, puts arguments in capitals, and
    removes the source's line breaks from paragraphs.
    """
    app.info.cls = HelpfulGroup
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

    def format_help(self, ctx: Any, formatter: Any) -> None:
        with switches_in_one_column(self.params):
            super().format_help(ctx, formatter)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter as error:
            variable = variable_of(error.param, ctx) if error.param else ""
            if not variable:
                raise
            raise wrong_value(variable, error.message) from error

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except UsageError as error:
            raise with_variable(error, self.params, ctx) from error


class HelpfulGroup(TyperGroup):
    """A group of commands whose help is tidy."""

    def get_params(self, ctx: Any) -> list[Any]:
        return _plain(super().get_params(ctx))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if ctx.parent is None and self.get_command(ctx, args[0]) is None and _is_image(args[0]):
            raise UsageError(
                f"capgen needs a command before {args[0]}",
                hint=f"To caption it: capgen caption {shlex.join(args)}",
            )
        return super().resolve_command(ctx, args)


def _is_image(argument: str) -> bool:
    """Whether an argument names images: a file or folder, an address, or a name like theirs."""
    return (
        is_url(argument)
        or is_stored(argument)
        or has_image_suffix(argument)
        or os.path.lexists(argument)
    )


def _plain(parameters: list[Any]) -> list[Any]:
    for parameter in parameters:
        if getattr(parameter, "is_flag", False):
            parameter.metavar = ""
        elif parameter.param_type_name == "argument" and parameter.metavar is None:
            parameter.metavar = parameter.name.upper()
        _convert_quickly(parameter)
        _refuse_addresses(parameter)
    return parameters


def _convert_quickly(parameter: Any) -> None:
    """Let values whose conversion is plain pass Typer by.

    Newer versions of it convert with pydantic, and loading that takes a tenth of the time of a
    caption.
    """
    kind = getattr(getattr(parameter, "type_descriptor", None), "annotation", None)
    if kind is None or parameter.required:
        return
    several = parameter.multiple or parameter.nargs == -1

    def process_value(context: Any, value: Any) -> Any:
        if value is None:
            converted: Any = () if several else None
        elif kind is int and type(value) is str and value.isascii() and value.isdigit():
            converted = int(value)
        elif isinstance(kind, type) and isinstance(value, kind):  # a default, a switch or text
            converted = value
        elif kind == list[str] and all(type(item) is str for item in value):
            converted = list(value)
        else:
            return type(parameter).process_value(parameter, context, value)
        if parameter.callback is not None:
            converted = parameter.callback(context, parameter, converted)
        return converted

    parameter.process_value = process_value


def _refuse_addresses(parameter: Any) -> None:
    """Let a parameter that takes paths refuse an address, which means nothing as a path."""
    kind = getattr(getattr(parameter, "type_descriptor", None), "annotation", None)
    if kind not in (Path, list[Path]):
        return
    process = parameter.process_value

    def process_value(context: Any, value: Any) -> Any:
        for item in value if isinstance(value, list | tuple) else [value]:
            if isinstance(item, str) and (is_stored(item) or is_url(item)):
                option = parameter.opts[0] if parameter.opts[0].startswith("-") else ""
                raise UsageError(
                    f"{option} {without_credentials(item)} is an address".lstrip(),
                    hint="It takes a file or folder on this machine.",
                )
        return process(context, value)

    parameter.process_value = process_value


def _flowing(function: Any) -> str:
    paragraphs = (inspect.getdoc(function) or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
