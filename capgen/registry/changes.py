"""Rename and remove models, only inside the registry's own folders."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from capgen import paths
from capgen.errors import ModelNotFoundError, UsageError, did_you_mean
from capgen.models.folder import CHECKPOINTS, being_trained
from capgen.models.resolve import BUNDLED, BUNDLED_MODELS
from capgen.paths import is_folder, models_dir, runs_dir, storage_errors
from capgen.registry.default import default_model, save_default
from capgen.registry.listing import list_models


@dataclass(frozen=True)
class Owned:
    """A folder that the registry may change; `root` is `runs_dir()` or `models_dir()`."""

    path: Path
    root: Path


def check_name(name: str) -> str:
    """Return `name` if it is a portable folder name and not the bundled model's name."""
    paths.check_name(name, "a model")
    if name == BUNDLED:
        raise UsageError(f"'{BUNDLED}' is the name of the bundled model")
    return name


def check_free(name: str) -> str:
    """Return `name` if it is valid and not in use."""
    check_name(name)
    for root in (runs_dir(), models_dir()):
        place = root / name
        if place.exists() or place.is_symlink():
            raise UsageError(f"A model called '{name}' already exists ({place})")
    return name


def owned(name: str) -> Owned:
    """Return the folder of a run, a checkpoint or a stored model; refuse any other model."""
    if name in BUNDLED_MODELS:
        raise UsageError("The bundled model is part of capgen and cannot be renamed or removed")
    parts = name.split("/")
    if len(parts) <= 2 and all(map(paths.is_name, parts)):
        for root in (runs_dir(), models_dir()):
            place = root / name
            if place.is_symlink() or place.parent.is_symlink():
                raise UsageError(
                    f"{place} is a link to a folder outside the registry",
                    hint="Remove the link yourself if you do not need it.",
                )
            if place.is_dir():
                return Owned(place, root)
    known = {entry.name for entry in list_models()}
    if name in known:
        raise UsageError(
            f"{name} is in the Hub's cache, which other programs share",
            hint="Manage it with `hf cache ls` and `hf cache rm`.",
        )
    if is_folder(Path(name)):
        raise UsageError(
            f"{name} is not in the registry ({runs_dir()}, {models_dir()})",
            hint="capgen renames and removes only models in the registry.",
        )
    raise ModelNotFoundError(f"No model '{name}'", hint=did_you_mean(name, known))


def rename(name: str, new: str) -> Path:
    """Rename a training run or a stored model, update the default, and return the new folder."""
    model = owned(name)
    if model.root == runs_dir() and "/" in name:
        raise UsageError(
            f"Checkpoints are called {', '.join(CHECKPOINTS)} in every run",
            hint=f"Rename the run: capgen models rename {name.split('/')[0]} {new}",
        )
    target = model.root / check_free(new)
    _check_idle(model)
    with storage_errors(target):
        model.path.rename(target)
    _update_default(name, new)
    return target


def remove(name: str) -> Path:
    """Delete a run, one of its checkpoints, or a stored model, and return its former folder.

    If it was the default, the bundled model becomes the default.
    """
    model = owned(name)
    place = model.path
    _check_idle(model)
    default_model()  # an unreadable settings file stops the removal before anything is deleted
    with storage_errors(place):
        # Hide it first: an interrupted removal must not leave half a model.
        doomed = place.with_name(f".{place.name}.removed")
        shutil.rmtree(doomed, ignore_errors=True)
        place.rename(doomed)
        shutil.rmtree(doomed)
    _update_default(name, None)
    return place


def _check_idle(model: Owned) -> None:
    """Raise `UsageError` if a process trains in the model's folder."""
    run = model.root / model.path.relative_to(model.root).parts[0]
    if being_trained(run):
        raise UsageError(
            f"{run.name} is in training",
            hint="Stop it first, with Ctrl-C where it runs.",
        )


def _update_default(name: str, new: str | None) -> None:
    """Replace `name` in the settings file's default by `new`, or remove that default."""
    default = default_model()
    if default.name != name and not default.name.startswith(f"{name}/"):
        return
    if default.source not in ("flag", "default") and Path(default.source).is_file():
        save_default(None if new is None else new + default.name[len(name) :])
