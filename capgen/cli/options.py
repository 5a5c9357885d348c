"""Command-line options made from the settings classes: help, range and default in one place."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from capgen.config import TrainConfig, accepted, flag_name

Settings = TypeVar("Settings")
INPUT_PANEL = "Input"
MODEL_PANEL = "Model"
DECODING_PANEL = "Decoding"
OUTPUT_PANEL = "Output"


def setting_option(config: type, name: str, *short: str, panel: str, switch: bool = False) -> Any:
    """Make the option of a settings field, with the help and range the field declares.

    Values are checked by the settings class itself, so that the library and the command
    line refuse the same values in the same words.

    Args:
        config: The settings class.
        name: The field.
        *short: Other names of the option.
        panel: Where help shows it.
        switch: Offer `--no-NAME` too.
    """
    field = next(item for item in dataclasses.fields(config) if item.name == name)
    help = field.metadata["help"].rstrip(".") + accepted(field) + "."
    # Training resolves its own environment, to say where each setting comes from.
    variable = None if config is TrainConfig else variable_name(name)
    flag = flag_name(name)
    return typer.Option(
        f"{flag}/--no-{flag.removeprefix('--')}" if switch else flag,
        *short,
        help=help,
        rich_help_panel=panel,
        show_default=True,
        envvar=variable,
        show_envvar=False,
    )


def settings_from(kind: type[Settings], given: Mapping[str, Any]) -> Settings:
    """Return the settings that a command was called with.

    Args:
        kind: A settings class.
        given: Option → value, as the command's `locals()`; what it lacks keeps its default.

    Raises:
        UsageError: A value is not accepted.
    """
    names = [field.name for field in dataclasses.fields(kind)]  # type: ignore[arg-type]
    return kind(**{name: given[name] for name in names if name in given})


def variable_name(setting: str) -> str:
    """Return the environment variable of a setting, as in `max_length` → `CAPGEN_MAX_LENGTH`."""
    return "CAPGEN_" + setting.upper()


def _variable(setting: str) -> Any:
    return {"envvar": variable_name(setting), "show_envvar": False}


ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        help="'mini' (bundled), a model folder, RUN/best-eval, a kept model, or a Hub id. "
        "Default: CAPGEN_MODEL, or `capgen models default`, or mini.",
        rich_help_panel=MODEL_PANEL,
        show_default=False,
        **_variable("model"),
    ),
]
RevisionOption = Annotated[
    str | None,
    typer.Option(
        help="Branch, tag or commit of a Hub model.",
        rich_help_panel=MODEL_PANEL,
        show_default=False,
        **_variable("revision"),
    ),
]
TrustOption = Annotated[
    bool,
    typer.Option(
        "--trust-remote-code",
        help="Run code that comes with the model, where capgen does not know its kind.",
        rich_help_panel=MODEL_PANEL,
    ),
]
RuntimeOption = Annotated[
    str,
    typer.Option(
        help="auto, onnx (CPU) or torch.", rich_help_panel=MODEL_PANEL, **_variable("runtime")
    ),
]
DeviceOption = Annotated[
    str,
    typer.Option(
        help="auto, cpu, cuda, cuda:N or mps.", rich_help_panel=MODEL_PANEL, **_variable("device")
    ),
]
DtypeOption = Annotated[
    str,
    typer.Option(
        help="auto, fp32, bf16 or fp16.", rich_help_panel=MODEL_PANEL, **_variable("dtype")
    ),
]
JsonOption = Annotated[
    bool,
    typer.Option("--json", help="Print records as one JSON array.", rich_help_panel=OUTPUT_PANEL),
]
OutputOption = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        help="Write records to this file instead of printing: "
        ".json, .jsonl, .csv, .txt, .parquet, .html.",
        readable=False,  # it is only replaced
        rich_help_panel=OUTPUT_PANEL,
        show_default=False,
    ),
]
