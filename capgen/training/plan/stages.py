"""Runs in stages: the settings of each, from a TOML file with `[[stage]]` tables.

    batch_size = 64                 settings of all stages

    [[stage]]
    name = "cross-entropy"
    num_epochs = 20                 settings of this stage

    [[stage]]
    name = "scst"                   starts from best-eval of the stage before
    start_from = "best-eval"        (or best-loss, or last)

Each stage is a run with a `TrainConfig` of its own.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Unpack

from capgen.config import TrainConfig
from capgen.config.toml_files import read_toml
from capgen.config.training_keywords import TrainKeywords
from capgen.errors import UsageError, did_you_mean
from capgen.models.folder import BEST_EVAL, CHECKPOINTS
from capgen.training.plan.recipes import find_settings, recipes
from capgen.training.plan.settings import (
    TOML_TITLE,
    Layer,
    environment_settings,
    flag_settings,
    resolve_layers,
    toml_lines,
    typed_settings,
)

STAGES_FOLDER = "stages"
# Settings about the model, the data and the tracking: one for all stages.
WHOLE_RUN = (
    *("preset", "init", "encoder", "decoder", "image_size", "min_count"),
    *("decoder_layers", "decoder_width"),
    *("data_dir", "dataset", "text_data", "output_dir"),
    *("wandb", "wandb_project", "wandb_run_name", "wandb_checkpoints", "tensorboard"),
)
# Settings without effect unless there is text data. Files may have them all the same: recipes do.
_OF_TEXT = ("text_weight", "text_captions_per_image")
# Name of the single stage of a run without stages; never shown.
ONLY = "only"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage.

    Attributes:
        name: Its name; `ONLY` for a run without stages.
        number: Its number, from 1.
        config: Its settings. From the second stage on, `init` is a checkpoint of the previous
            stage, relative to the run's folder.
        start_from: Which checkpoint of the previous stage it starts from.
        sources: Setting → its source.
    """

    name: str
    number: int
    config: TrainConfig
    start_from: str = BEST_EVAL
    sources: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def folder(self) -> str:
        """Its folder, relative to the run's folder."""
        return f"{STAGES_FOLDER}/{self.number}-{self.name}"

    def config_in(self, run: Path) -> TrainConfig:
        """Return its settings as an ordinary run inside the folder `run`."""
        init = self.config.init if self.number == 1 else str(run / str(self.config.init))
        return dataclasses.replace(
            self.config,
            init=init,
            name=None,
            output_dir=run / self.folder,
            wandb=False,  # the whole run is tracked
            tensorboard=False,
        )


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All stages of a run.

    Attributes:
        stages: The stages in order; a run without stages has a single one.
        staged: Whether the run has stages.
        left_out: Stages of a recipe that need text data, which the run does not have.
    """

    stages: tuple[Stage, ...]
    staged: bool = True
    left_out: tuple[str, ...] = field(default=(), compare=False)

    @property
    def first(self) -> TrainConfig:
        """Settings of the first stage, which include those of the whole run."""
        return self.stages[0].config

    def to_dict(self) -> dict[str, Any]:
        """Return the settings that all stages share, and under `stage` the others."""
        records = [stage.config.to_dict() for stage in self.stages]
        records = [{**record, "init": records[0]["init"]} for record in records]
        shared = {
            name: value
            for name, value in records[0].items()
            if all(record[name] == value for record in records)
        }
        tables = [
            {
                "name": stage.name,
                **({"start_from": stage.start_from} if stage.number > 1 else {}),
                **{name: value for name, value in record.items() if name not in shared},
            }
            for stage, record in zip(self.stages, records, strict=True)
        ]
        return {**shared, "stage": tables}

    def to_toml(self) -> str:
        """Return the settings as TOML for `read_plan`, without those that are None."""
        content = self.to_dict()
        tables = content.pop("stage")
        lines = [TOML_TITLE, *toml_lines(content)]
        for table in tables:
            lines += ["", "[[stage]]", *toml_lines(table)]
        return "\n".join(lines) + "\n"


def resolve_plan(
    flags: Mapping[str, Any],
    *,
    file: str | Path | None = None,
    environment: Mapping[str, str] | None = None,
    user: Mapping[str, tuple[str, Any]] | None = None,
) -> Plan:
    """Resolve the settings of a run that may have stages.

    The order of precedence for a stage: flags, environment, its table, the rest of the file,
    the user's defaults, the preset.

    Args:
        flags: Settings given on the command line.
        file: A TOML file, or the name of a recipe that comes with capgen.
        environment: Variables, as in `os.environ`.
        user: Setting → (source, value) of the user's own defaults.

    Raises:
        UsageError: A value is not accepted, or the file cannot be read; names the source.
    """
    given = flag_settings(flags), environment_settings(environment or {})
    plan = _resolved(given, file, user)
    if not plan.first.text_files:
        for name in _OF_TEXT:
            for layer in given:
                # The default asks for nothing: whole settings, as Python gives them, have it.
                if name in layer and layer[name][1] != getattr(TrainConfig, name):
                    raise UsageError(
                        f"{layer[name][0]} is for captions without images: set --text-data"
                    )
    return plan


def _resolved(
    given: tuple[Layer, ...],
    file: str | Path | None,
    user: Mapping[str, tuple[str, Any]] | None,
) -> Plan:
    path = None if file is None else find_settings(file)
    content = {} if path is None else read_toml(path)
    source = f"recipe {file}" if str(file) in recipes() else str(path)
    tables = content.pop("stage", None)
    typed = typed_settings(content, source)
    shared = {**(user or {}), **{name: (source, value) for name, value in typed.items()}}
    if tables is None:
        config, sources = resolve_layers(*given, shared)
        return Plan(
            stages=(Stage(name=ONLY, number=1, config=config, sources=sources),), staged=False
        )
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise UsageError(f"{path}: each stage must be a table that starts with [[stage]]")
    if not tables:
        raise UsageError(f"{path} has no stages")
    stages: list[Stage] = []
    left_out = []
    texts = any(layer.get("text_data", ("", None))[1] for layer in (*given, shared))
    for number, table in enumerate(tables, 1):
        # Whoever has no captions without images trains the rest of a recipe.
        if str(file) in recipes() and not texts and table.get("objective") == "text":
            left_out.append(str(table.get("name")))
            continue
        before = stages[-1] if stages else None
        stages.append(_stage(number - len(left_out), table, before, source, given, shared))
    return Plan(stages=tuple(stages), left_out=tuple(left_out))


def read_plan(file: Path, **changes: Unpack[TrainKeywords]) -> Plan:
    """Read settings that `Plan.to_toml` wrote, with some replaced."""
    return resolve_plan(changes, file=file.absolute())


def _stage(
    number: int,
    table: Mapping[str, Any],
    before: Stage | None,
    file: str,
    given: tuple[Layer, ...],
    shared: Layer,
) -> Stage:
    content = dict(table)
    place = f"{file}: [[stage]] {number}"
    name = content.pop("name", None)
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise UsageError(
            f"{place} needs a name of letters, digits and dashes", hint='Example: name = "scst"'
        )
    place += f" ({name})"
    start_from = content.pop("start_from", BEST_EVAL)
    if before is None and "start_from" in table:
        raise UsageError(f"{place}: the first stage cannot have start_from; use init")
    if start_from not in CHECKPOINTS:
        raise UsageError(
            f"{place}: start_from is {start_from!r}; it must be one of {', '.join(CHECKPOINTS)}",
            hint=did_you_mean(str(start_from), CHECKPOINTS),
        )
    for setting in content:
        if setting in WHOLE_RUN:
            raise UsageError(
                f"{place} sets {setting}, which must be the same for the whole run",
                hint="Put it above the first [[stage]].",
            )
    own = {key: (place, value) for key, value in typed_settings(content, place).items()}
    layers: tuple[Layer, ...] = (*given, own, shared)
    if before is not None:
        layers = ({"init": (f"stage {before.name}", f"{before.folder}/{start_from}")}, *layers)
    config, sources = resolve_layers(*layers)
    return Stage(name=name, number=number, config=config, start_from=start_from, sources=sources)
