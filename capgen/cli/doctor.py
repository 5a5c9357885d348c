"""`capgen doctor`: checks the installation and what it works with."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import typer

from capgen.cli.console import Console, is_terminal
from capgen.cli.help import examples
from capgen.cli.options import Json
from capgen.cli.user_defaults import file_sections, file_settings, known_settings
from capgen.config.toml_files import read_toml
from capgen.paths import config_file
from capgen.records import Check

EXAMPLES = examples(
    "capgen doctor", "capgen doctor --offline --json > doctor.json", "capgen doctor wandb"
)

doctor_app = typer.Typer(
    name="doctor",
    help="Check the installation and what it works with.",
    invoke_without_command=True,
    epilog=EXAMPLES,
)
_WORDS = {True: "ok", False: "FAULT", None: "-"}
_STYLES = {True: "green", False: "bold red", None: "dim"}


@doctor_app.callback()
def doctor_command(
    context: typer.Context,
    offline: Annotated[
        bool, typer.Option("--offline", help="Skip the checks that need a network.")
    ] = False,
    full: Annotated[
        bool, typer.Option("--full", help="Also try the bundled model with torch.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Check the installation and what it works with.

    Checks versions, devices, disk and caches, your settings, the installed files, the bundled
    model, the Hub and Weights & Biases. Says how to fix each fault, and exits with code 1 if there
    is one. A missing GPU or network is reported, but is not a fault. No token is ever shown.
    """
    if context.invoked_subcommand is not None:
        return
    from capgen.doctor.examine import examine

    root = context.find_root().command
    findings = examine(settings=lambda: _settings(root), offline=offline, full=full)
    console = Console()
    if as_json:
        console.json(findings.to_dict())
    elif is_terminal(sys.stdout):
        _show_table(console, findings.areas)
    else:
        for area, checks in findings.areas.items():
            console.data(f"{area}:")
            _show_lines(console, checks)
    if findings.faults:
        count = len(findings.faults)
        console.error(f"{count} fault{'s' if count > 1 else ''}")
        raise typer.Exit(1)
    if not as_json:
        console.note("no faults found")


@doctor_app.command("wandb", epilog=examples("capgen doctor wandb"))
def wandb_command(
    seconds: Annotated[
        float, typer.Option(help="Longest time to wait until the run is sent.", min=5)
    ] = 120.0,
    as_json: Json = False,
) -> None:
    """Send a small trial run to Weights & Biases.

    Online, it goes to the project capgen-doctor and is deleted after it has arrived; offline, it
    is written to a file. The exit code is 1 if anything goes wrong.
    """
    from capgen.training.tracking.wandb.trial_run import send_trial_run

    console = Console()
    trial = send_trial_run(seconds=seconds)
    if as_json:
        console.json(trial.to_dict())
    else:
        _show_lines(console, trial.checks)
    if not trial.ok:
        raise typer.Exit(1)


def _settings(root: Any) -> Iterator[Check]:
    path = config_file()
    content = read_toml(path, required=False)
    known = known_settings(root)
    for command in known:
        for note in file_settings(content, command, known, where=str(path)).unused.values():
            yield Check(command, None, note)
    top = [name for name, value in content.items() if not isinstance(value, dict)]
    count = len(top) + sum(map(len, file_sections(content).values()))
    if count:
        yield Check(path.name, True, f"{count} set in {path}")
    else:
        yield Check(path.name, None, f"nothing is set in {path}")


def _show_lines(console: Console, checks: Sequence[Check]) -> None:
    width = max(9, *(len(check.name) for check in checks)) if checks else 0
    for check in checks:
        console.data(f"{_WORDS[check.ok]:<5}  {check.name:<{width}}  {check.detail}")
        if check.cure:
            console.data(f"{'':<5}  {'':<{width}}  {check.cure}")


def _show_table(console: Console, areas: Mapping[str, Sequence[Check]]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=False)
    for _ in range(4):
        table.add_column(overflow="fold")
    for area, checks in areas.items():
        for number, check in enumerate(checks):
            # As Text, so that brackets are not markup.
            detail = Text(check.detail)
            if check.cure:
                detail.append(f"\n{check.cure}", style="bold" if check.ok is False else "dim")
            word = Text(_WORDS[check.ok], style=_STYLES[check.ok])
            table.add_row(
                Text("" if number else area, style="bold"), word, Text(check.name), detail
            )
    console.show(table)
