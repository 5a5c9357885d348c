"""The root command. Heavy libraries are imported only inside the commands' bodies."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import capgen
from capgen.cli import accept, calibrate, review, serve, undo
from capgen.cli.alt.command import alt_app
from capgen.cli.apply import command as apply
from capgen.cli.apply import convert
from capgen.cli.caption import command as caption
from capgen.cli.config import config_app
from capgen.cli.console import Console
from capgen.cli.data.command import data_app
from capgen.cli.doctor import doctor_app
from capgen.cli.eval import command as evaluate
from capgen.cli.help import tidy_help
from capgen.cli.hub import hub_app
from capgen.cli.logs import FORMATS, LEVELS, start_logging
from capgen.cli.models.command import models_app
from capgen.cli.train import command as train
from capgen.cli.user_defaults import use_user_defaults
from capgen.cli.variables import misspelt_variables
from capgen.errors import UsageError

# They must work while the user's settings file is broken.
NO_USER_SETTINGS = ("config", "doctor")


def build_app() -> typer.Typer:
    app = typer.Typer(
        name="capgen",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        help="Caption images, and train and judge the models that do.",
        epilog="Start with:  capgen caption photo.jpg",
    )
    app.callback()(_root)
    app.command("caption", epilog=caption.EXAMPLES)(caption.caption_command)
    app.command("review", epilog=review.EXAMPLES)(review.review_command)
    app.command("accept", epilog=accept.EXAMPLES)(accept.accept_command)
    app.command("apply", epilog=apply.EXAMPLES)(apply.apply_command)
    app.command("convert", epilog=convert.EXAMPLES)(convert.convert_command)
    app.command("undo", epilog=undo.EXAMPLES)(undo.undo_command)
    app.command("serve", epilog=serve.EXAMPLES)(serve.serve_command)
    app.command("train", epilog=train.EXAMPLES)(train.train_command)
    app.command("eval", epilog=evaluate.EXAMPLES)(evaluate.eval_command)
    app.command("calibrate", epilog=calibrate.EXAMPLES)(calibrate.calibrate_command)
    app.add_typer(alt_app)
    app.add_typer(data_app)
    app.add_typer(models_app)
    app.add_typer(config_app)
    app.add_typer(hub_app)
    app.add_typer(doctor_app)
    tidy_help(app)
    return app


def _show_version(value: bool) -> None:
    if value:
        print(f"capgen {capgen.__version__}")
        raise typer.Exit


def _root(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version and exit.", callback=_show_version, is_eager=True
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
