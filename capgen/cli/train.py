"""`capgen train`: parses, calls the training loop, renders its events."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from capgen.cli.console import Console
from capgen.cli.options import MODEL_PANEL, OUTPUT_PANEL, setting_option
from capgen.cli.training_screen import TrainingScreen
from capgen.config import TrainConfig, train_config
from capgen.records import Event

EXAMPLES = """Examples:

capgen train --preset mini --data-dir flickr8k/

capgen train --preset mini --data-dir flickr8k/ --train-encoder none

capgen train --dataset flickr8k --name first --num-epochs 10"""

DATA_PANEL = "Data and run"
RECIPE_PANEL = "Recipe"
AUGMENTATION_PANEL = "Augmentation"
VALIDATION_PANEL = "Validation"
MACHINE_PANEL = "Machine"


def _data(name: str) -> Any:
    return setting_option(TrainConfig, name, panel=DATA_PANEL)


def _model(name: str) -> Any:
    return setting_option(TrainConfig, name, panel=MODEL_PANEL)


def _recipe(name: str) -> Any:
    return setting_option(TrainConfig, name, panel=RECIPE_PANEL)


def _augmentation(name: str) -> Any:
    return setting_option(TrainConfig, name, panel=AUGMENTATION_PANEL)


def _validation(name: str) -> Any:
    return setting_option(TrainConfig, name, panel=VALIDATION_PANEL)


def _machine(name: str) -> Any:
    return setting_option(TrainConfig, name, panel=MACHINE_PANEL)


def _switch(name: str, panel: str) -> Any:
    help = TrainConfig.__dataclass_fields__[name].metadata["help"]
    return typer.Option(f"--{name}/--no-{name}", help=help, rich_help_panel=panel)


def train_command(
    data_dir: Annotated[Path | None, _data("data_dir")] = None,
    dataset: Annotated[str | None, _data("dataset")] = None,
    output_dir: Annotated[Path | None, _data("output_dir")] = None,
    name: Annotated[str | None, _data("name")] = None,
    preset: Annotated[str | None, _model("preset")] = None,
    encoder: Annotated[str | None, _model("encoder")] = None,
    decoder: Annotated[str | None, _model("decoder")] = None,
    init: Annotated[str | None, _model("init")] = None,
    train_encoder: Annotated[str | None, _model("train_encoder")] = None,
    image_size: Annotated[int | None, _model("image_size")] = None,
    min_count: Annotated[int | None, _model("min_count")] = None,
    num_epochs: Annotated[int | None, _recipe("num_epochs")] = None,
    batch_size: Annotated[int | None, _recipe("batch_size")] = None,
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
    crop_area: Annotated[float | None, _augmentation("crop_area")] = None,
    crop_aspect: Annotated[float | None, _augmentation("crop_aspect")] = None,
    flip: Annotated[bool | None, _switch("flip", AUGMENTATION_PANEL)] = None,
    color_jitter: Annotated[float | None, _augmentation("color_jitter")] = None,
    eval: Annotated[bool | None, _switch("eval", VALIDATION_PANEL)] = None,
    eval_every: Annotated[int | None, _validation("eval_every")] = None,
    eval_limit: Annotated[int | None, _validation("eval_limit")] = None,
    eval_batch_size: Annotated[int | None, _validation("eval_batch_size")] = None,
    device: Annotated[str | None, _machine("device")] = None,
    precision: Annotated[str | None, _machine("precision")] = None,
    compile: Annotated[bool | None, _switch("compile", MACHINE_PANEL)] = None,
    workers: Annotated[int | None, _machine("workers")] = None,
    log_every: Annotated[int | None, _machine("log_every")] = None,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print the final event as JSON.", rich_help_panel=OUTPUT_PANEL),
    ] = False,
) -> None:
    """Make a captioner from pictures with captions.

    Where no option is given, the preset's value applies. The run's folder holds the settings,
    the events and the model folders best-eval, best-loss and last.
    """
    given = {key: value for key, value in locals().items() if value is not None}
    del given["as_json"]
    config = train_config(given.pop("preset", None), **given)

    from capgen.training.loop import train

    final = render(train(config), config)
    console = Console()
    if as_json and final is not None:
        console.json(final.to_dict())
    elif final is not None:
        console.data(final.to_dict()["run"])


def render(events: Iterable[Event], config: TrainConfig) -> Event | None:
    """Show events as they come; return the last one."""
    final = None
    with TrainingScreen(config) as screen:
        for event in events:
            screen.show(event)
            final = event
    return final
