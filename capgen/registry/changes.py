"""Renaming and removing models: only what lies in the registry's own folders."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from capgen import paths
from capgen.errors import ModelNotFoundError, UsageError, did_you_mean
from capgen.models.folder import CHECKPOINTS
from capgen.models.resolve import BUNDLED
from capgen.paths import is_folder, models_dir, runs_dir, storage_errors
from capgen.registry.default import default_model, save_default
from capgen.registry.listing import list_models


@dataclass(frozen=True)
class Owned:
    """A folder that the registry may change.

    Attributes:
        path: The folder.
        root: `runs_dir()` or `models_dir()`.
        name: Its name within the root.
    """

    path: Path
    root: Path
    name: str


def check_name(name: str) -> str:
    """Return `name` if a model can be called that.

    Raises:
        UsageError: It would not be one folder's name everywhere, or is taken by the bundled model.
    """
    paths.check_name(name, "a model")
    if name == BUNDLED:
        raise UsageError(f"'{BUNDLED}' is the bundled model's name")
    return name


def check_free(name: str) -> str:
    """Return `name` if it can be given to a new model.

    Raises:
        UsageError: It is taken, or cannot be a name.
    """
    check_name(name)
    for root in (runs_dir(), models_dir()):
        place = root / name
        if place.exists() or place.is_symlink():
            raise UsageError(f"There is a model '{name}' already ({place})")
    return name


def owned(name: str) -> Owned:
    """Return the folder of a run, of a checkpoint or of a stored model.

    Raises:
        UsageError: It is the bundled model, in the Hub's cache, or outside the registry.
        ModelNotFoundError: Nothing goes by that name.
    """
    if name == BUNDLED:
        raise UsageError("The bundled model is part of capgen: it cannot be renamed or removed")
    parts = name.split("/")
    if len(parts) <= 2 and all(map(paths.is_name, parts)):
        for root in (runs_dir(), models_dir()):
            place = root / name
            if place.is_symlink() or place.parent.is_symlink():
                raise UsageError(
                    f"{place} is a link: what it leads to is outside the registry",
                    hint="Remove the link yourself if you do not need it.",
                )
            if place.is_dir():
                return Owned(place, root, name)
    known = {entry.name for entry in list_models()}
    if name in known:
        raise UsageError(
            f"{name} is in the Hub's cache, which other programs share",
            hint="`hf cache ls` and `hf cache rm` look after it.",
        )
    if is_folder(Path(name)):
        raise UsageError(
            f"{name} is not in the registry ({runs_dir()}, {models_dir()})",
            hint="capgen renames and removes only models that it keeps by name.",
        )
    raise ModelNotFoundError(f"No model '{name}'", hint=did_you_mean(name, known))


def rename(name: str, new: str) -> Path:
    """Rename a training run or a stored model; the default follows.

    Returns:
        The new folder.

    Raises:
        UsageError: The new name is taken or cannot be one, or the model is not in the registry.
        ModelNotFoundError: There is no such model.
        StorageError: It cannot be renamed.
    """
    found = owned(name)
    if found.root == runs_dir() and "/" in name:
        raise UsageError(
            f"Checkpoints are called {', '.join(CHECKPOINTS)} in every run",
            hint=f"Rename the run: capgen models rename {name.split('/')[0]} {new}",
        )
    target = found.root / check_free(new)
    with storage_errors(target):
        found.path.rename(target)
    default = default_model()
    if default.name == name or default.name.startswith(f"{name}/"):
        _move_default(default.source, new + default.name[len(name) :])
    return target


def remove(name: str) -> Path:
    """Delete a run, one of its checkpoints, or a stored model.

    If it was the default, the bundled model is the default again.

    Returns:
        The folder that was deleted.

    Raises:
        UsageError: It is the bundled model, or not in the registry.
        ModelNotFoundError: There is no such model.
        StorageError: It cannot be deleted.
    """
    place = owned(name).path
    default = default_model()
    with storage_errors(place):
        # First out of sight: an interrupted removal must not leave half a model.
        doomed = place.with_name(f".{place.name}.removed")
        shutil.rmtree(doomed, ignore_errors=True)
        place.rename(doomed)
        shutil.rmtree(doomed)
    if default.name == name or default.name.startswith(f"{name}/"):
        _move_default(default.source, None)
    return place


def _move_default(source: str, name: str | None) -> None:
    """Change the default in the settings file, if that is where it stands."""
    if source not in ("flag", "default") and Path(source).is_file():
        save_default(name)
