"""`capgen train`: parses, calls the training loop, renders its events."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from capgen.cli.console import Console, is_terminal
from capgen.cli.help import examples
from capgen.cli.options import OUTPUT_PANEL, given_of, with_options
from capgen.cli.sending import confirm_sending
from capgen.cli.train.dry_run import print_plan
from capgen.cli.train.upload import upload_run, wanted_upload
from capgen.cli.user_defaults import unused_notes
from capgen.config import ModelOptions, TrainConfig
from capgen.config.training_groups import (
    Augmentation,
    Concepts,
    DataAndRun,
    Recipe,
    Teachers,
    TrainedModel,
)
from capgen.config.training_run_groups import Machine, Tracking, ValidationSettings
from capgen.errors import StorageError, UsageError
from capgen.paths import config_file
from capgen.training.plan.recipes import recipes

if TYPE_CHECKING:
    from capgen.records import Event
    from capgen.training.plan.stages import Plan

EXAMPLES = examples(
    "capgen train --preset mini --data-dir flickr8k/",
    "capgen train --preset mini --data-dir flickr8k/ --train-encoder none",
    "capgen train --dataset flickr8k --name first --num-epochs 10",
    "capgen train --config mini --name first",
    "capgen train --preset mini --decoder-layers 1 --teacher big/best-eval",
    "capgen train --resume first",
    "capgen train --init mini --data-dir my-photos/ --dry-run",
    "capgen train --init mini --dataset flickr8k --dataset my-photos=2",
    "capgen train --objective scst --preset mini --init first/best-eval --dataset flickr8k",
)

_RUN: Any = {"rich_help_panel": DataAndRun.PANEL, "show_default": False}


@with_options(
    section="train",
    panels=(
        DataAndRun.PANEL,
        TrainedModel.PANEL,
        Recipe.PANEL,
        Teachers.PANEL,
        Concepts.PANEL,
        Augmentation.PANEL,
        ValidationSettings.PANEL,
        Tracking.PANEL,
        Machine.PANEL,
        OUTPUT_PANEL,
    ),
)
def train_command(
    context: typer.Context,
    given: Annotated[dict[str, Any], given_of(TrainConfig)],
    config: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|RECIPE",
            help="TOML file with settings and stages, such as a run's config.toml, or a recipe: "
            f"{', '.join(recipes())}.",
            **_RUN,
        ),
    ] = None,
    resume: Annotated[
        str | None,
        typer.Option(help="Resume this run (name or folder) from its last saved state.", **_RUN),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Print settings, parameters, memory and time, without training.",
            **_RUN,
        ),
    ] = False,
    save_to_hub: Annotated[
        str | None,
        typer.Option(
            metavar="USER/NAME",
            help="Push best-eval to the Hub when training ends (or set HF_REPO_NAME).",
            rich_help_panel=OUTPUT_PANEL,
            show_default=False,
        ),
    ] = None,
    private: Annotated[
        bool,
        typer.Option(
            "--private",
            help="Push to a private repository (or set HF_PRIVATE).",
            rich_help_panel=OUTPUT_PANEL,
        ),
    ] = False,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print the final event as JSON.", rich_help_panel=OUTPUT_PANEL),
    ] = False,
) -> None:
    """Train a captioner on images with captions.

    A setting comes from its option, else from CAPGEN_SETTING in the environment, else from
    --config, else from your own settings file (see `capgen config`), else from the preset.

    A --config file with `stage` tables trains in stages, each starting from the best model of
    the one before; options apply to all stages.

    The run's folder gets the settings, the events and the model folders best-eval, best-loss
    and last. Ctrl-C saves the state; --resume continues exactly from there.
    """
    console = Console()
    _accept_token_name()
    upload = None if dry_run else wanted_upload(save_to_hub, private, os.environ)
    if upload is not None:
        seen = "private" if upload.private else "public, unless it is private already"
        console.note(f"the best model will be pushed to {upload.repository} ({seen})")
    if resume is not None:
        if config is not None or dry_run:
            raise UsageError(
                "--resume uses the run's own settings: it cannot be used with --config or --dry-run"
            )
        final = _resume(resume, given)
    else:
        from capgen.data.mixture import check_there
        from capgen.training.plan.stages import resolve_plan

        own = {name: (str(config_file()), value) for name, value in context.obj.values.items()}
        for note in unused_notes(context, "train"):
            console.note(note)
        plan = resolve_plan(given, file=config, environment=os.environ, user=own)
        if plan.left_out:
            console.note(f"without --text-data there is no stage {', '.join(plan.left_out)}")
        # Before torch is imported, which takes seconds.
        check_there(plan.first.dataset, plan.first.data_dir)
        if dry_run:
            print_plan(plan, as_json=as_json)
            return
        final = _start(plan)
    if final is None:
        return  # not the first process of several, which prints
    if as_json:
        console.json(final.to_dict())
    else:
        console.data(final.to_dict()["run"])
    if upload is not None:
        upload_run(final.to_dict()["run"], upload, console)


def _start(plan: Plan) -> Event | None:
    teachers = {name for stage in plan.stages for name in stage.config.teachers}
    confirm_sending(ModelOptions(), teachers)

    from capgen.training.run.stop_request import stop_signals
    from capgen.training.run.train_stages import train_stages

    with stop_signals(_tell_stopping) as stop:
        return render(train_stages(plan, stop=stop))


def _resume(run: str, changes: dict[str, Any]) -> Event | None:
    from capgen.training.run.stop_request import stop_signals
    from capgen.training.run.train_stages import resume_run

    with stop_signals(_tell_stopping) as stop:
        return render(resume_run(run, stop=stop, **changes), run)


def _tell_stopping() -> None:
    """Acknowledge Ctrl-C, as a step may take long. Safe in a signal handler."""
    if is_terminal(sys.stderr):
        text = "\nstopping after this step; press Ctrl-C again to stop at once\n"
        os.write(sys.stderr.fileno(), text.encode())


def render(events: Iterable[Event], run: str = "") -> Event | None:
    """Show the events of a run and return the last; `run` names one that goes on."""
    from capgen.cli.train.progress import TrainingScreen

    final = None
    with TrainingScreen(run) as screen:
        try:
            for event in events:
                screen.show(event)
                final = event
        except (KeyboardInterrupt, SystemExit):
            screen.interrupted()
            raise
        except StorageError as error:  # a full disk, above all
            if screen.go_on:
                error.hint = f"{error.hint} Then go on: {screen.go_on}".strip()
            raise
    return final


def _accept_token_name() -> None:
    """Accept an older name of the Hub's token; huggingface_hub reads HF_TOKEN."""
    token = os.environ.get("HUGGINGFACE_TOKEN")
    if token:
        os.environ.setdefault("HF_TOKEN", token)
