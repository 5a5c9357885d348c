"""Which settings each command has, and the environment variables that set them.

A section of the user's settings file, or `CAPGEN_COMMAND_SETTING`, applies to one command. A key
above the sections, or `CAPGEN_SETTING`, applies to every command that has a setting of that
name, except those in `OWN`.
"""

from __future__ import annotations

import dataclasses

from capgen.config.decoding import DecodeOptions
from capgen.config.evaluation import CalibrateConfig, EvalConfig
from capgen.config.inputs import BatchOptions, CsvOptions, ImageLimits, InputOptions
from capgen.config.models import ModelOptions
from capgen.config.training import TrainConfig

# Command → its settings classes, no two of which share a name. A subcommand is written as its
# section of the settings file, with a dot.
COMMANDS: dict[str, tuple[type, ...]] = {
    "caption": (
        *(ModelOptions, DecodeOptions, BatchOptions, ImageLimits, InputOptions, CsvOptions),
    ),
    "eval": (ModelOptions, DecodeOptions, EvalConfig),
    "train": (TrainConfig,),
    "calibrate": (ModelOptions, DecodeOptions, CalibrateConfig),
    "models.compare": (ModelOptions, DecodeOptions, EvalConfig),
    "models.test": (ModelOptions,),
}

# Training's batch size changes what is learned; other commands' only changes their speed. A value
# for all commands must not set it.
OWN = {"train": ("batch_size",)}

_SHARED = {
    f"CAPGEN_{field.name.upper()}"
    for classes in COMMANDS.values()
    for kind in classes
    for field in dataclasses.fields(kind)
}


def variables(name: str, command: str = "") -> list[str]:
    """Return the environment variables of a setting, the one that wins first.

    `CAPGEN_TRAIN_ENCODER` is the setting `train_encoder` of all commands, not training's
    `encoder`; a few other names are ambiguous in the same way.

    Args:
        name: The setting.
        command: The command, a key of `COMMANDS`; empty for the variable that all share.
    """
    shared = f"CAPGEN_{name.upper()}"
    own = f"CAPGEN_{command.upper().replace('.', '_')}_{name.upper()}"
    names = [own] if command and own not in _SHARED else []
    return names if name in OWN.get(command, ()) else [*names, shared]
