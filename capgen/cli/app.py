"""The root command. Heavy libraries are imported inside the commands' bodies only."""

from __future__ import annotations

from typing import Annotated

import typer

import capgen
from capgen.cli import calibrate, caption, evaluate, train
from capgen.cli.data import data_app


def build_app() -> typer.Typer:
    """Make the app with all its commands."""
    app = typer.Typer(
        name="capgen",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        help="Caption pictures, and train and judge the models that do.",
        epilog="Start with:  capgen caption photo.jpg",
    )
    app.callback()(_root)
    app.command("caption", epilog=caption.EXAMPLES)(caption.caption_command)
    app.command("train", epilog=train.EXAMPLES)(train.train_command)
    app.command("eval", epilog=evaluate.EXAMPLES)(evaluate.eval_command)
    app.command("calibrate", epilog=calibrate.EXAMPLES)(calibrate.calibrate_command)
    app.add_typer(data_app)
    return app


def _show_version(value: bool) -> None:
    if value:
        print(f"capgen {capgen.__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Show the version and leave.", callback=_show_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Caption pictures, and train and judge the models that do."""
