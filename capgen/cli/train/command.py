"""`capgen train`: parses, calls the training loop, renders its events."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from capgen.cli.console import Console
from capgen.cli.help import examples
from capgen.cli.options import MODEL_PANEL, OUTPUT_PANEL, setting_option
from capgen.cli.train.dry_run import print_plan
from capgen.cli.train.progress import TrainingScreen
from capgen.cli.train.upload import upload_run, wanted_upload
from capgen.config import TrainConfig, flag_name
from capgen.errors import UsageError
from capgen.paths import config_file
from capgen.records import Event
from capgen.training.plan.recipes import recipes

if TYPE_CHECKING:
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

DATA_PANEL = "Data and run"
RECIPE_PANEL = "Recipe"
TEACHER_PANEL = "Teachers"
AUGMENTATION_PANEL = "Augmentation"
VALIDATION_PANEL = "Validation"
TRACKING_PANEL = "Tracking"
MACHINE_PANEL = "Machine"
_RUN: Any = {"rich_help_panel": DATA_PANEL, "show_default": False}


def _data(name: str) -> Any:
    return setting_option(TrainConfig, name, panel=DATA_PANEL)


def _model(name: str) -> Any:
    return setting_option(TrainConfig, name, panel=MODEL_PANEL)


def _recipe(name: str) -> Any:
    return setting_option(TrainConfig, name, panel=RECIPE_PANEL)


def _teaching(name: str) -> Any:
    return setting_option(TrainConfig, name, panel=TEACHER_PANEL)


def _augmentation(name: str) -> Any:
    return setting_option(TrainConfig, name, panel=AUGMENTATION_PANEL)


def _validation(name: str) -> Any:
    return setting_option(TrainConfig, name, panel=VALIDATION_PANEL)


def _tracking(name: str) -> Any:
    return setting_option(TrainConfig, name, panel=TRACKING_PANEL)


def _machine(name: str) -> Any:
    return setting_option(TrainConfig, name, panel=MACHINE_PANEL)


def _switch(name: str, panel: str) -> Any:
    help = TrainConfig.__dataclass_fields__[name].metadata["help"]
    flag = flag_name(name)
    return typer.Option(f"{flag}/--no-{flag[2:]}", help=help, rich_help_panel=panel)


def train_command(
    context: typer.Context,
    data_dir: Annotated[list[Path] | None, _data("data_dir")] = None,
    dataset: Annotated[list[str] | None, _data("dataset")] = None,
    output_dir: Annotated[Path | None, _data("output_dir")] = None,
    name: Annotated[str | None, _data("name")] = None,
    preset: Annotated[str | None, _model("preset")] = None,
    encoder: Annotated[str | None, _model("encoder")] = None,
    decoder: Annotated[str | None, _model("decoder")] = None,
    init: Annotated[str | None, _model("init")] = None,
    extend_vocabulary: Annotated[bool | None, _switch("extend_vocabulary", MODEL_PANEL)] = None,
    train_encoder: Annotated[str | None, _model("train_encoder")] = None,
    image_size: Annotated[int | None, _model("image_size")] = None,
    min_count: Annotated[int | None, _model("min_count")] = None,
    decoder_layers: Annotated[int | None, _model("decoder_layers")] = None,
    decoder_width: Annotated[int | None, _model("decoder_width")] = None,
    lora_rank: Annotated[int | None, _model("lora_rank")] = None,
    objective: Annotated[str | None, _recipe("objective")] = None,
    num_epochs: Annotated[int | None, _recipe("num_epochs")] = None,
    batch_size: Annotated[int | None, _recipe("batch_size")] = None,
    accumulation: Annotated[int | None, _recipe("accumulation")] = None,
    captions_per_image: Annotated[int | None, _recipe("captions_per_image")] = None,
    max_tokens: Annotated[int | None, _recipe("max_tokens")] = None,
    learning_rate: Annotated[float | None, _recipe("learning_rate")] = None,
    encoder_learning_rate: Annotated[float | None, _recipe("encoder_learning_rate")] = None,
    decoder_learning_rate: Annotated[float | None, _recipe("decoder_learning_rate")] = None,
    warmup_steps: Annotated[int | None, _recipe("warmup_steps")] = None,
    schedule: Annotated[str | None, _recipe("schedule")] = None,
    weight_decay: Annotated[float | None, _recipe("weight_decay")] = None,
    beta1: Annotated[float | None, _recipe("beta1")] = None,
    beta2: Annotated[float | None, _recipe("beta2")] = None,
    clip_norm: Annotated[float | None, _recipe("clip_norm")] = None,
    label_smoothing: Annotated[float | None, _recipe("label_smoothing")] = None,
    dropout: Annotated[float | None, _recipe("dropout")] = None,
    ema_decay: Annotated[float | None, _recipe("ema_decay")] = None,
    seed: Annotated[int | None, _recipe("seed")] = None,
    samples_per_image: Annotated[int | None, _recipe("samples_per_image")] = None,
    sample_temperature: Annotated[float | None, _recipe("sample_temperature")] = None,
    cross_entropy_share: Annotated[float | None, _recipe("cross_entropy_share")] = None,
    teacher: Annotated[list[str] | None, _teaching("teacher")] = None,
    distill: Annotated[str | None, _teaching("distill")] = None,
    distill_weight: Annotated[float | None, _teaching("distill_weight")] = None,
    distill_temperature: Annotated[float | None, _teaching("distill_temperature")] = None,
    crop_area: Annotated[float | None, _augmentation("crop_area")] = None,
    crop_aspect: Annotated[float | None, _augmentation("crop_aspect")] = None,
    flip: Annotated[bool | None, _switch("flip", AUGMENTATION_PANEL)] = None,
    color_jitter: Annotated[float | None, _augmentation("color_jitter")] = None,
    compression: Annotated[float | None, _augmentation("compression")] = None,
    compression_quality: Annotated[int | None, _augmentation("compression_quality")] = None,
    rescale: Annotated[float | None, _augmentation("rescale")] = None,
    eval: Annotated[bool | None, _switch("eval", VALIDATION_PANEL)] = None,
    eval_strategy: Annotated[str | None, _validation("eval_strategy")] = None,
    patience: Annotated[int | None, _validation("patience")] = None,
    test: Annotated[bool | None, _switch("test", VALIDATION_PANEL)] = None,
    test_samples_per_epoch: Annotated[int | None, _validation("test_samples_per_epoch")] = None,
    followed_samples: Annotated[int | None, _validation("followed_samples")] = None,
    eval_every: Annotated[int | None, _validation("eval_every")] = None,
    eval_limit: Annotated[int | None, _validation("eval_limit")] = None,
    eval_batch_size: Annotated[int | None, _validation("eval_batch_size")] = None,
    wandb: Annotated[bool | None, _switch("wandb", TRACKING_PANEL)] = None,
    wandb_project: Annotated[str | None, _tracking("wandb_project")] = None,
    wandb_run_name: Annotated[str | None, _tracking("wandb_run_name")] = None,
    wandb_checkpoints: Annotated[str | None, _tracking("wandb_checkpoints")] = None,
    tensorboard: Annotated[bool | None, _switch("tensorboard", TRACKING_PANEL)] = None,
    device: Annotated[str | None, _machine("device")] = None,
    precision: Annotated[str | None, _machine("precision")] = None,
    compile: Annotated[bool | None, _switch("compile", MACHINE_PANEL)] = None,
    gradient_checkpointing: Annotated[
        bool | None, _switch("gradient_checkpointing", MACHINE_PANEL)
    ] = None,
    workers: Annotated[int | None, _machine("workers")] = None,
    log_every: Annotated[int | None, _machine("log_every")] = None,
    save_every: Annotated[int | None, _machine("save_every")] = None,
    keep_states: Annotated[int | None, _machine("keep_states")] = None,
    config: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|RECIPE",
            help="TOML file with settings and stages, as a run's config.toml, or a recipe: "
            f"{', '.join(recipes())}.",
            **_RUN,
        ),
    ] = None,
    resume: Annotated[
        str | None,
        typer.Option(help="Run to go on with (name or folder), where it was saved last.", **_RUN),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Print settings, parameters and needs; no training.", **_RUN
        ),
    ] = False,
    save_to_hub: Annotated[
        str | None,
        typer.Option(
            metavar="USER/NAME",
            help="Push best-eval there when training ends (or HF_REPO_NAME).",
            rich_help_panel=OUTPUT_PANEL,
            show_default=False,
        ),
    ] = None,
    private: Annotated[
        bool,
        typer.Option(
            "--private", help="Push privately (or HF_PRIVATE).", rich_help_panel=OUTPUT_PANEL
        ),
    ] = False,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print the final event as JSON.", rich_help_panel=OUTPUT_PANEL),
    ] = False,
) -> None:
    """Make a captioner from images with captions.

    A setting comes from its option, else from CAPGEN_SETTING in the environment, else from
    --config, else from your own settings file (see `capgen config`), else from the preset.

    A file with tables named `stage` trains in stages, each from the best model of the one
    before; options are for all of them.

    The run's folder holds the settings, the events and the model folders best-eval, best-loss
    and last. Ctrl-C saves; --resume goes on exactly there.
    """
    given = {key: value for key, value in locals().items() if value not in (None, [])}
    for name in ("context", "as_json", "config", "resume", "dry_run", "save_to_hub", "private"):
        given.pop(name, None)
    _accept_token_name()
    upload = None if dry_run else wanted_upload(save_to_hub, private, os.environ)
    if resume is not None:
        if config is not None or dry_run:
            raise UsageError(
                "--resume goes on with a run's own settings: no --config, no --dry-run"
            )
        final = _go_on(resume, given)
    else:
        from capgen.data.mixture import check_there
        from capgen.training.plan.stages import resolve_plan

        own = {name: (str(config_file()), value) for name, value in context.obj.items()}
        plan = resolve_plan(given, file=config, environment=os.environ, user=own)
        # Before torch is imported, which takes seconds.
        check_there(plan.first.dataset, plan.first.data_dir)
        if dry_run:
            print_plan(plan, as_json=as_json)
            return
        final = _start(plan)
    if final is None:
        return  # a second process: the first one prints
    console = Console()
    if as_json:
        console.json(final.to_dict())
    else:
        console.data(final.to_dict()["run"])
    if upload is not None:
        upload_run(final.to_dict()["run"], upload, console)


def _start(plan: Plan) -> Event | None:
    from capgen.training.run.stop_request import stop_signals
    from capgen.training.run.train_stages import train_stages

    with stop_signals(_tell_stopping) as stop:
        return render(train_stages(plan, stop=stop))


def _go_on(run: str, changes: dict[str, Any]) -> Event | None:
    from capgen.training.run.stop_request import stop_signals
    from capgen.training.run.train_stages import resume_run

    with stop_signals(_tell_stopping) as stop:
        return render(resume_run(run, stop=stop, **changes))


def _tell_stopping() -> None:
    """Say that a signal was heard: a step may take long. Safe in a signal's handler."""
    if sys.stderr is not None and sys.stderr.isatty():
        text = "\nstopping after this step; press Ctrl-C again to stop at once\n"
        os.write(sys.stderr.fileno(), text.encode())


def render(events: Iterable[Event]) -> Event | None:
    """Show events as they come; return the last one."""
    final = None
    with TrainingScreen() as screen:
        for event in events:
            screen.show(event)
            final = event
    return final


def _accept_token_name() -> None:
    """Let an earlier program's name of the Hub's token do; huggingface_hub reads HF_TOKEN."""
    token = os.environ.get("HUGGINGFACE_TOKEN")
    if token:
        os.environ.setdefault("HF_TOKEN", token)
