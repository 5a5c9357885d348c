"""The environment variables that set the settings."""

from __future__ import annotations

import dataclasses

from capgen.config.commands import COMMANDS, OWN

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


def setting_variables() -> set[str]:
    """Return the environment variables of all settings."""
    return {
        variable
        for command, classes in COMMANDS.items()
        for kind in classes
        for field in dataclasses.fields(kind)
        if field.metadata.get("remembered")
        for variable in variables(field.name, command)
    }
