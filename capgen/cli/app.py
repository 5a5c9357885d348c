"""The root command. Heavy libraries are imported only inside the commands' bodies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

import capgen
from capgen.cli.console import Console
from capgen.cli.help import HelpfulGroup, tidy_help
from capgen.cli.logs import FORMATS, LEVELS, start_logging
from capgen.cli.user_defaults import use_user_defaults
from capgen.cli.variables import misspelt_variables
from capgen.cli.welcome import welcome
from capgen.errors import UsageError

# The commands and groups, in the order of help, with the module of each. It has the command as
# `NAME_command` and its EXAMPLES, or the group as `NAME_app`.
HOMES = {
    "demo": "capgen.cli.demo",
    "caption": "capgen.cli.caption.command",
    "review": "capgen.cli.review",
    "accept": "capgen.cli.accept",
    "apply": "capgen.cli.apply.command",
    "convert": "capgen.cli.apply.convert",
    "merge": "capgen.cli.merge",
    "undo": "capgen.cli.undo",
    "serve": "capgen.cli.serve",
    "train": "capgen.cli.train.command",
    "eval": "capgen.cli.eval.command",
    "calibrate": "capgen.cli.calibrate",
    "alt": "capgen.cli.alt.command",
    "data": "capgen.cli.data.command",
    "models": "capgen.cli.models.command",
    "config": "capgen.cli.config",
    "hub": "capgen.cli.hub",
    "doctor": "capgen.cli.doctor",
}
# They must work while the user's settings file is broken.
NO_USER_SETTINGS = ("config", "doctor")


def build_app() -> typer.Typer:
    app = typer.Typer(
        name="capgen",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        help="Caption images, and train and judge the models that do.",
        epilog="Start with:  capgen caption photo.jpg",
    )
    app.callback()(_root)
    tidy_help(app)
    app.info.cls = _Root
    return app


class _Root(HelpfulGroup):
    """The root, whose commands are imported and made when they are asked for."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = _Commands()  # type: ignore[assignment]  # which is only read

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args and not ctx.resilient_parsing:
            print(welcome())
            # As Typer ends where a command is missing: a script with an empty variable has to fail.
            raise typer.Exit(2)
        return super().parse_args(ctx, args)


class _Commands(Mapping[str, Any]):
    def __getitem__(self, name: str) -> Any:
        return _command(name)

    def __iter__(self) -> Iterator[str]:
        return iter(HOMES)

    def __len__(self) -> int:
        return len(HOMES)


@cache
def _command(name: str) -> Any:
    """Make a command or group; raise KeyError for an unknown name."""
    module = import_module(HOMES[name])
    holder = typer.Typer(add_completion=False)
    group = getattr(module, f"{name}_app", None)
    if group is None:
        holder.command(name, epilog=module.EXAMPLES)(getattr(module, f"{name}_command"))
    else:
        holder.add_typer(group)
    tidy_help(holder)
    made: Any = typer.main.get_command(holder)
    return made if group is None else made.commands[name]


def _show_version(context: typer.Context, value: bool) -> None:
    verbose = context.params.get("verbose")
    if verbose and not value and not context.resilient_parsing:
        raise UsageError(
            "--verbose goes with --version", hint="To see more of a command: --log-level debug"
        )
    if not value:
        return
    if verbose:
        from capgen.doctor.runtime import runtime_versions

        print("\n".join(f"{name} {version}" for name, version in runtime_versions().items()))
    else:
        print(f"capgen {capgen.__version__}")
    raise typer.Exit


def _root(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version and exit.", callback=_show_version),
    ] = False,
    verbose: Annotated[
        bool,
        # Read first, wherever it stands.
        typer.Option(
            "--verbose",
            help="With --version: also those of Python, torch and other libraries.",
            is_eager=True,
        ),
    ] = False,
    log_level: Annotated[
        str | None,
        typer.Option(
            help="Log messages of this level and above: debug, info, warning or error.",
            show_default=False,
        ),
    ] = None,
    log_file: Annotated[
        Path | None,
        typer.Option(
            help="Append the log to this file instead of stderr, with failures and the summary.",
            show_default=False,
        ),
    ] = None,
    log_format: Annotated[
        str | None,
        typer.Option(help="Lines of the log: text or json (JSON Lines).", show_default=False),
    ] = None,
) -> None:
    """Caption images, and train and judge the models that do."""
    if log_level is not None and log_level not in LEVELS:
        raise UsageError(f"--log-level is {log_level!r}; it must be one of {', '.join(LEVELS)}")
    if log_format is not None and log_format not in FORMATS:
        raise UsageError(f"--log-format is {log_format!r}; it must be one of {', '.join(FORMATS)}")
    if log_level is not None or log_file is not None:
        start_logging(log_level or "info", log_file, Console().note, as_json=log_format == "json")
    for warning in misspelt_variables():
        Console().note(warning)
    if context.invoked_subcommand not in NO_USER_SETTINGS:
        use_user_defaults(context)
