"""Which settings belong to which command, and the variables of the environment that set them.

A command's own section of the user's settings file, or `CAPGEN_COMMAND_SETTING`, is for that
command alone. A key at the file's top, or `CAPGEN_SETTING`, is for every command that has a
setting of that name, apart from training's `OWN`.
"""

from __future__ import annotations

import dataclasses

from capgen.config.decoding import DecodeOptions
from capgen.config.evaluation import EvalConfig
from capgen.config.inputs import BatchOptions, CsvOptions, ImageLimits, InputOptions
from capgen.config.models import ModelOptions
from capgen.config.training import TrainConfig

# Command → its settings classes. A name is in one of them only.
COMMANDS: dict[str, tuple[type, ...]] = {
    "caption": (
        *(ModelOptions, DecodeOptions, BatchOptions, ImageLimits, InputOptions, CsvOptions),
    ),
    "eval": (ModelOptions, DecodeOptions, EvalConfig),
    "train": (TrainConfig,),
}

# Settings that change what is learned, while those of the same name elsewhere change only how
# fast captions are made: what is meant for all commands must not set them.
OWN = {"train": ("batch_size",)}

_SHARED = {
    f"CAPGEN_{field.name.upper()}"
    for classes in COMMANDS.values()
    for kind in classes
    for field in dataclasses.fields(kind)
}


def variables(name: str, command: str = "") -> list[str]:
    """Return the environment variables of a setting, the one that decides first.

    `CAPGEN_TRAIN_ENCODER` is the setting `train_encoder`, as it always was, rather than
    training's `encoder`; there are a few more such names.

    Args:
        name: The setting.
        command: The command; empty for those without settings of their own.
    """
    shared = f"CAPGEN_{name.upper()}"
    own = f"CAPGEN_{command.upper()}_{name.upper()}"
    found = [own] if command and own not in _SHARED else []
    return found if name in OWN.get(command, ()) else [*found, shared]
