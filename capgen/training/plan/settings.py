"""Where a run's settings come from: flags, environment, a TOML file, the
user's own defaults, the preset.

The first of these that has a setting decides. Settings can be given as `CAPGEN_TRAIN_NAME` in
the environment, most as `CAPGEN_NAME`, too (see `capgen.config.commands`); a few of an earlier
program's bare names are read as well.
"""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capgen.config import (
    TRAIN_PRESETS,
    TrainConfig,
    flag_name,
    objective_defaults,
    parse_setting,
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
_PATHS = ("data_dir", "output_dir")


@dataclass(frozen=True)
class Resolved:
    """Settings with where each comes from.

    Attributes:
        config: The settings.
        sources: Setting → the flag, variable or file that decided, `preset NAME`, `default`.
    """

    config: TrainConfig
    sources: Mapping[str, str]


def resolve_settings(
    flags: Mapping[str, Any],
    *,
    file: Path | None = None,
    environment: Mapping[str, str] | None = None,
    user: Mapping[str, tuple[str, Any]] | None = None,
) -> Resolved:
    """Put together a run's settings.

    Args:
        flags: Settings given on the command line.
        file: A TOML file with settings, as a run's `config.toml`.
        environment: Variables, as in `os.environ`.
        user: Setting → (where from, value) of the user's own defaults.

    Raises:
        UsageError: A value is not accepted, or the file cannot be read; names where it is.
    """
    return resolve_layers(
        flag_settings(flags),
        environment_settings(environment or {}),
        {} if file is None else {n: (str(file), v) for n, v in read_settings(file).items()},
        user or {},
    )


def flag_settings(flags: Mapping[str, Any]) -> dict[str, tuple[str, Any]]:
    """Return setting → (flag, value) for what the command line sets."""
    return {name: (flag_name(name), value) for name, value in flags.items()}


def resolve_layers(*layers: Mapping[str, tuple[str, Any]]) -> Resolved:
    """Put settings together from places that have them, the one that decides first.

    Args:
        layers: Setting → (where it is from, value).

    Raises:
        UsageError: A value is not accepted.
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
        of_preset = field.name in TRAIN_PRESETS[preset]
        sources.setdefault(field.name, f"preset {preset}" if of_preset else "default")
    for name, source in sources.items():
        logger.debug("%s = %r (%s)", name, getattr(config, name, None), source)
    return Resolved(config, sources)


def environment_settings(environment: Mapping[str, str]) -> dict[str, tuple[str, Any]]:
    """Return setting → (variable, value) for what the environment sets.

    Raises:
        UsageError: A value is not of its setting's type.
    """
    found: dict[str, tuple[str, Any]] = {}
    names = {
        variable: field.name
        for field in dataclasses.fields(TrainConfig)
        for variable in variables(field.name, "train")
    }
    for variable, name in {**names, **BARE_NAMES}.items():
        text = environment.get(variable)
        if text and name not in found:
            try:
                found[name] = variable, parse_setting(TrainConfig, name, text)
            except UsageError as error:
                raise UsageError(f"{variable} in the environment: {error.message}") from error
    return found


def to_toml(config: TrainConfig) -> str:
    """Return settings as TOML that `read_settings` reads; what is not set is left out."""
    return "\n".join([TOML_TITLE, *toml_lines(config.to_dict())]) + "\n"


TOML_TITLE = "# Settings of a capgen training run."


def toml_lines(settings: Mapping[str, Any]) -> list[str]:
    """Return settings as lines of TOML; what is not set is left out."""
    lines = []
    for name, value in settings.items():
        if name in _PATHS and value is not None:
            value = _absolute(value)
        if value is not None:
            # JSON's strings, numbers, booleans and lists are TOML's, DEL aside.
            text = json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
            lines.append(f"{name} = {text}")
    return lines


def read_settings(file: Path) -> dict[str, Any]:
    """Read settings from a TOML file.

    Raises:
        UsageError: The file cannot be read, is not TOML, or holds a value that is no setting.
    """
    content = read_toml(file)
    if "stage" in content:
        raise UsageError(
            f"{file} has stages",
            hint="Go on with capgen train --resume, on the whole run's folder.",
        )
    return typed_settings(content, str(file))


def typed_settings(content: Mapping[str, Any], place: str) -> dict[str, Any]:
    """Return settings of a TOML table with the types of their fields.

    Args:
        content: Setting → value.
        place: Where it is from, for messages.

    Raises:
        UsageError: A name or value is no setting.
    """
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
    """Return a path, or each of several, as an absolute one; weights stay where they are."""
    if isinstance(value, list):
        return [_absolute(item) for item in value]
    return str(Path(value).absolute())
