"""`capgen doctor`: looks whether what capgen works with is in order."""

from __future__ import annotations

from typing import Annotated

import typer

from capgen.cli.console import Console
from capgen.cli.options import OUTPUT_PANEL

doctor_app = typer.Typer(
    name="doctor",
    help="Look whether what capgen works with is in order.",
    no_args_is_help=True,
)


@doctor_app.callback()
def _group() -> None:
    """Look whether what capgen works with is in order."""


@doctor_app.command("wandb")
def wandb_command(
    seconds: Annotated[
        float, typer.Option(help="Longest time to wait for the run to be sent.", min=5)
    ] = 120.0,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON.", rich_help_panel=OUTPUT_PANEL)
    ] = False,
) -> None:
    """Send a small run to Weights & Biases and read it back.

    The run holds a number, a table and an artifact. Online it goes to the project
    capgen-doctor and is deleted afterwards; offline it is read from its file. Exits with 1 if
    anything is missing.
    """
    from capgen.training.tracking.wandb_probe import probe_wandb

    console = Console()
    probe = probe_wandb(seconds=seconds)
    if as_json:
        console.json(probe.to_dict())
    else:
        for check in probe.checks:
            console.data(f"{'ok' if check.ok else 'FAULT':<5}  {check.name:<9}  {check.detail}")
            if check.cure:
                console.data(f"{'':<5}  {'':<9}  {check.cure}")
    if not probe.ok:
        raise typer.Exit(1)
