"""List the models on this machine, and resolve their names."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

from capgen.errors import CapgenError, ModelError
from capgen.hub_client.pulled import read_pulled
from capgen.models.folder import (
    BEST_EVAL,
    CHECKPOINTS,
    CONFIG_FILE,
    RUN_SETTINGS_FILE,
    ModelFolder,
)
from capgen.models.kinds import CAPTIONER_KINDS, PROMPTED_KINDS
from capgen.models.known import KnownModel, known_model
from capgen.models.resolve import BUNDLED_MODELS, hub_name, is_local, resolve_model
from capgen.paths import bundled_int8_dir, bundled_model_dir, is_folder, models_dir, runs_dir
from capgen.registry.default import default_model
from capgen.registry.entries import BUNDLED, FOLDER, HUB, RUN, STORED, ModelEntry, describe


def list_models() -> list[ModelEntry]:
    """Return the models that have a name: bundled, from runs, stored, and in the Hub's cache.

    Broken and half-written ones are included, with their `problem`.

    Raises:
        UsageError: The user's settings file, which names the default, cannot be read.
    """
    chosen = full_name(default_model().name)
    folders = [
        *((resolve_model(name), BUNDLED) for name in BUNDLED_MODELS),
        *((folder, RUN) for folder in _of_runs()),
        *((folder, STORED) for folder in _stored()),
        *((folder, HUB) for folder in _of_hub()),
    ]
    return [describe(folder, kind, default=folder.name == chosen) for folder, kind in folders]


def find_model(name: str, *, revision: str | None = None) -> ModelEntry:
    """Return the entry of one model.

    Args:
        name: Anything that `--model` takes.
        revision: Branch, tag or commit of a Hub model.

    Raises:
        ModelNotFoundError: There is no such model.
        NetworkError: The model must be downloaded, and the Hub cannot be reached.
    """
    folder = resolve_model(name, revision=revision)
    chosen = full_name(default_model().name)
    return describe(folder, kind_of(folder), default=full_name(name) == chosen)


def full_name(name: str) -> str:
    """Return the Hub id for the short name of a known model, and any other name as it is."""
    return name if is_local(name) else hub_name(name)


def known_elsewhere(name: str) -> KnownModel | None:
    """Return the known model of that name if it is not on this machine. Asks no network."""
    identifier = hub_name(name).partition("@")[0]
    known = None if is_local(name) else known_model(identifier)
    return None if known is None or is_downloaded(known) else known


def is_downloaded(known: KnownModel) -> bool:
    """Return whether a known model is on this machine, with all its weights."""
    if not known.identifier:
        return True
    cached = Path(_hub_cache(), f"models--{known.identifier.replace('/', '--')}")
    return any(_is_whole(ModelFolder(path, "")) for path in _folders(cached / "snapshots"))


def lasting_name(name: str) -> str:
    """Return a name of a model that is valid in every working directory."""
    entry = find_model(name)
    assert entry.path is not None
    roots = {RUN: runs_dir(), STORED: models_dir()}
    if entry.kind in roots and entry.path == roots[entry.kind] / name:
        return name
    return full_name(name) if entry.kind in (BUNDLED, HUB) else str(entry.path.resolve())


def kind_of(folder: ModelFolder) -> str:
    """Return the kind of a resolved model (see `ModelEntry`)."""
    if folder.revision:
        return HUB
    if folder.path in (bundled_model_dir(), bundled_int8_dir()):
        return BUNDLED
    for kind, root in ((RUN, runs_dir()), (STORED, models_dir())):
        if folder.path.resolve().is_relative_to(root.resolve()):
            return kind
    return FOLDER


def run_checkpoints(name: str) -> list[str]:
    """Return the names of a run's checkpoints, best-eval first; none if it is not a run."""
    folder = runs_dir() / name
    if not name or not (folder / RUN_SETTINGS_FILE).is_file():
        return []
    saved = [item for item in CHECKPOINTS if (folder / item / CONFIG_FILE).is_file()]
    return [f"{name}/{item}" for item in sorted(saved, key=lambda item: item != BEST_EVAL)]


def _of_runs() -> Iterator[ModelFolder]:
    for run in _folders(runs_dir()):
        checkpoints = [folder for folder in _folders(run) if _is_checkpoint(folder)]
        for folder in checkpoints:
            yield ModelFolder(folder, f"{run.name}/{folder.name}")
        if not checkpoints:
            yield ModelFolder(run, run.name)


def _is_checkpoint(folder: Path) -> bool:
    return folder.name in CHECKPOINTS or (folder / CONFIG_FILE).is_file()


def _stored() -> Iterator[ModelFolder]:
    """Yield the stored models, NAME or USER/NAME."""
    for folder in _folders(models_dir()):
        below = [] if (folder / CONFIG_FILE).is_file() else list(_folders(folder))
        inner = [item for item in below if (item / CONFIG_FILE).is_file()]
        if not inner:
            yield ModelFolder(folder, folder.name)
        for item in inner:
            yield ModelFolder(item, f"{folder.name}/{item.name}")


def _of_hub() -> Iterator[ModelFolder]:
    """Yield the captioners in the Hub's cache."""
    for repository in _folders(_hub_cache()):
        if not repository.name.startswith("models--"):
            continue
        identifier = repository.name.removeprefix("models--").replace("--", "/")
        current = _pinned(identifier) or _content(repository / "refs" / "main")
        for snapshot in _folders(repository / "snapshots"):
            folder = ModelFolder(snapshot, identifier, revision=snapshot.name)
            if not _is_captioner(folder):
                continue
            if snapshot.name != current:
                folder = dataclasses.replace(folder, name=f"{identifier}@{snapshot.name}")
            yield folder


def _hub_cache() -> Path:
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def _is_whole(folder: ModelFolder) -> bool:
    try:
        _ = folder.config
        folder.check_weights()
    except CapgenError:
        return False
    return True


def _pinned(identifier: str) -> str | None:
    """Return the commit that a pulled model's bare name refers to."""
    try:
        record = read_pulled(identifier)
    except ModelError:  # the record is damaged; loading the model reports that
        return None
    return None if record is None else record.commit


def _is_captioner(folder: ModelFolder) -> bool:
    try:
        return folder.config.get("model_type") in (*CAPTIONER_KINDS, *PROMPTED_KINDS)
    except CapgenError:
        return False


def _content(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return ""


def _folders(folder: Path) -> list[Path]:
    """Return the visible subfolders, sorted by name; none if the folder cannot be read."""
    try:
        visible = [item for item in folder.iterdir() if not item.name.startswith(".")]
    except OSError:
        return []
    return sorted(item for item in visible if is_folder(item))
