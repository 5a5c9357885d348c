"""A run's settings, from the command line, the environment, a TOML file, the user's own
defaults and the preset; the first of these that has a setting decides.

In the environment a setting is `CAPGEN_TRAIN_NAME` or, mostly, `CAPGEN_NAME` (see
`capgen.config.commands`). Some names of an earlier program are read, too.
"""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from capgen.config import (
    TrainConfig,
    flag_name,
    objective_defaults,
    parse_setting,
    preset_settings,
    train_config,
    variables,
)
from capgen.config.toml_files import read_toml
from capgen.errors import UsageError

logger = logging.getLogger(__name__)

BARE_NAMES = {
    "DEVICE": "device",
    "DATA_DIR": "data_dir",
    "BATCH_SIZE": "batch_size",
    "NUM_EPOCHS": "num_epochs",
    "WANDB_PROJECT": "wandb_project",
    "WANDB_RUN_NAME": "wandb_run_name",
}
DEFAULT_DATASET = "flickr8k"
_PATHS = ("data_dir", "output_dir", "text_data")


# Setting → (source, value).
Layer = Mapping[str, tuple[str, Any]]


def flag_settings(flags: Mapping[str, Any]) -> dict[str, tuple[str, Any]]:
    """Return setting → (flag, value) for what the command line sets."""
    return {name: (flag_name(name), value) for name, value in flags.items()}


def resolve_layers(*layers: Layer) -> tuple[TrainConfig, dict[str, str]]:
    """Resolve settings from layers in order of precedence.

    Returns:
        The settings, and for each its source: that of its layer, `preset NAME` or `default`.
    """
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for layer in layers:
        for name, (source, value) in layer.items():
            if name not in values:
                values[name], sources[name] = value, source
    if values.get("data_dir") is None and values.get("dataset") is None:
        values["dataset"] = DEFAULT_DATASET
    preset = values.pop("preset", TrainConfig.preset)
    config = train_config(preset, **values)
    for field in dataclasses.fields(TrainConfig):
        if field.name in objective_defaults(config.objective, preset):
            sources.setdefault(field.name, f"objective {config.objective}")
        in_preset = field.name in preset_settings(preset, init=config.init is not None)
        sources.setdefault(field.name, f"preset {preset}" if in_preset else "default")
    for name, source in sources.items():
        logger.debug("%s = %r (%s)", name, getattr(config, name, None), source)
    return config, sources


def environment_settings(environment: Mapping[str, str]) -> dict[str, tuple[str, Any]]:
    """Return setting → (variable, value) for what the environment sets."""
    settings: dict[str, tuple[str, Any]] = {}
    names = {
        variable: field.name
        for field in dataclasses.fields(TrainConfig)
        for variable in variables(field.name, "train")
    }
    for variable, name in {**names, **BARE_NAMES}.items():
        text = environment.get(variable)
        if text and name not in settings:
            try:
                settings[name] = variable, parse_setting(TrainConfig, name, text)
            except UsageError as error:
                raise UsageError(f"{variable} in the environment: {error.message}") from error
    return settings


def to_toml(config: TrainConfig) -> str:
    """Return settings as TOML for `read_settings`, without those that are None."""
    return "\n".join([TOML_TITLE, *toml_lines(config.to_dict())]) + "\n"


TOML_TITLE = "# Settings of a capgen training run."


def toml_lines(settings: Mapping[str, Any]) -> list[str]:
    """Return settings as lines of TOML, without those that are None."""
    lines = []
    for name, value in settings.items():
        if name in _PATHS and value is not None:
            value = _absolute(value)
        if value is not None:
            # JSON's strings, numbers, booleans and lists are valid TOML, except for DEL.
            text = json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
            lines.append(f"{name} = {text}")
    return lines


def read_settings(file: Path) -> dict[str, Any]:
    """Read settings from a TOML file without stages."""
    content = read_toml(file)
    if "stage" in content:
        raise UsageError(
            f"{file} has stages", hint="Use capgen train --resume on the folder of the whole run."
        )
    return typed_settings(content, str(file))


def typed_settings(content: Mapping[str, Any], place: str) -> dict[str, Any]:
    """Return the settings of a TOML table with the types of their fields; errors name `place`."""
    settings = dict(content)
    kinds = {field.name: str(field.type) for field in dataclasses.fields(TrainConfig)}
    for name, value in content.items():
        if not isinstance(value, str) or not kinds.get(name, "").startswith("str"):
            text = json.dumps(value) if isinstance(value, list) else str(value)
            try:
                settings[name] = parse_setting(TrainConfig, name, text)
            except UsageError as error:
                raise UsageError(f"{place}: {error.message}", hint=error.hint) from error
    return settings


def _absolute(value: Any) -> Any:
    """Return a path, or each of a list of paths, as an absolute one; `=WEIGHT` stays."""
    if isinstance(value, list):
        return [_absolute(item) for item in value]
    return str(Path(value).absolute())
