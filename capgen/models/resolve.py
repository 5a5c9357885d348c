"""From a model's name to its folder: bundled, folder, training run, or Hub repository."""

from __future__ import annotations

import logging
import re
from difflib import get_close_matches
from pathlib import Path

from capgen.addresses import is_url, without_credentials
from capgen.errors import (
    ModelError,
    ModelNotFoundError,
    NetworkError,
    UsageError,
    did_you_mean,
)
from capgen.hub_client.pulled import read_pulled
from capgen.models.adapters import AdaptedFolder, base_name, is_adapter
from capgen.models.fetch import fetch
from capgen.models.folder import (
    CHECKPOINTS,
    CONFIG_FILE,
    RUN_SETTINGS_FILE,
    ModelFolder,
)
from capgen.models.kinds import format_hint, weights_format
from capgen.models.known import KNOWN_MODELS, known_model
from capgen.paths import (
    bundled_int8_dir,
    bundled_model_dir,
    is_file,
    is_folder,
    models_dir,
    runs_dir,
)

logger = logging.getLogger(__name__)

BUNDLED = "mini"
BUNDLED_INT8 = "mini:int8"  # a name that no stored model can have
BUNDLED_MODELS = (BUNDLED, BUNDLED_INT8)
_REPOSITORY = re.compile(r"[\w.-]+(/[\w.-]+)?")


def resolve_model(
    name: str | None = None, *, revision: str | None = None, trust_remote_code: bool = False
) -> ModelFolder:
    """Find a model by name.

    Args:
        name: `mini` or None for the bundled model, `mini:int8` for it in 8 bits, a folder,
            `RUN/CHECKPOINT` of a training run, the name of an exported model, or a Hub id
            `USER/NAME` or the short name of a known model, with an optional `@REVISION`. What is
            on this machine comes first.
        revision: Branch, tag or commit of a Hub repository; by default the commit that was
            pulled last, or else the main branch.
        trust_remote_code: Also download Python files of a Hub repository.

    Raises:
        ModelNotFoundError: There is no such model.
        UsageError: There is a revision for a model that is not on the Hub.
        UnsafeModelError, ModelError, NetworkError: As for `fetch`.
    """
    local = _local(name)
    if local is not None:
        if revision is not None:
            raise UsageError(f"--revision is for Hub models; {local.name} is on this machine")
        return _on_its_base(local, trust_remote_code)
    assert name is not None
    if is_url(name):
        raise ModelNotFoundError(
            f"{without_credentials(name)} is a model on a server: there is no folder of it here",
            hint="Servers caption, and say nothing else of their models: see capgen models test.",
        )
    _check_not_a_file(name)
    _check_checkpoint(name)
    identifier, _, tag = hub_name(name).partition("@")
    looks_local = name.startswith((".", "/", "~", "\\")) or not _REPOSITORY.fullmatch(identifier)
    if looks_local or identifier.split("/")[0] in (".", ".."):
        raise ModelNotFoundError(
            f"No model {name!r}: not a folder, a run or a Hub id",
            hint=f"Use '{BUNDLED}', a model folder, RUN/best-loss, or USER/NAME on the Hub.",
        )
    revision = revision or tag or None
    record = read_pulled(identifier) if revision is None else None
    if record is not None:
        cached = record.cached_in()
        if cached is not None and (record.code or not trust_remote_code):
            logger.debug("model %r was pulled: commit %s in %s", name, record.commit, cached)
            pulled = ModelFolder(cached, identifier, revision=record.commit)
            return _on_its_base(pulled, trust_remote_code)
        revision = record.commit
    logger.debug("model %r is %s of the Hub, revision %s", name, identifier, revision or "main")
    try:
        fetched = fetch(identifier, revision, trust_remote_code=trust_remote_code)
    except (ModelNotFoundError, NetworkError) as error:
        if "/" in identifier:
            raise
        # Captioners on the Hub are called USER/NAME: the user meant one on this machine.
        raise type(error)(
            f"No model '{identifier}' on this machine. {error.message}",
            hint=_meant(identifier),
        ) from error
    return _on_its_base(fetched, trust_remote_code)


def _on_its_base(folder: ModelFolder, trust_remote_code: bool) -> ModelFolder:
    """Return a folder, or the folder of an adapter together with that of its base model.

    Raises:
        ModelNotFoundError, NetworkError: The base model cannot be found.
        ModelError: The base model is an adapter itself.
    """
    if not is_adapter(folder.path):
        return folder
    name = base_name(folder.path, folder.name)
    try:
        base = resolve_model(name, trust_remote_code=trust_remote_code)
    except (ModelNotFoundError, NetworkError) as error:
        raise type(error)(
            f"{folder.name} is an adapter of {name}. {error.message}", hint=error.hint
        ) from error
    if isinstance(base, AdaptedFolder):
        raise ModelError(f"{folder.name} is an adapter of {name}, which is an adapter, too")
    logger.debug("%s is an adapter of %s in %s", folder.name, name, base.path)
    return AdaptedFolder(
        base.path, folder.name, revision=folder.revision, adapter=folder.path, base=base
    )


def hub_name(name: str) -> str:
    """Return a name with the Hub id in place of the short name of a known model.

    Every other name is returned as it is. Whether something on this machine has the name is for
    the caller to know.
    """
    short, at, tag = name.partition("@")
    known = known_model(short)
    if known is None or not known.identifier or short == known.identifier:
        return name
    logger.info("model %r is short for %s of the Hub", short, known.identifier)
    return f"{known.identifier}{at}{tag}"


def is_local(name: str) -> bool:
    """Return whether a name is that of the bundled model, a folder, a run or a kept model."""
    return name in BUNDLED_MODELS or (bool(name) and any(map(is_folder, _places(name))))


def is_here(name: str) -> bool:
    """Return whether a name is that of a model on this machine: a local one, or a pulled one."""
    if is_local(name):
        return True
    identifier = hub_name(name).partition("@")[0]
    pulled = read_pulled(identifier) if _REPOSITORY.fullmatch(identifier) else None
    return pulled is not None and pulled.cached_in() is not None


def _places(name: str) -> tuple[Path, ...]:
    return (_expanded(name), runs_dir() / name, models_dir() / name)


def _meant(name: str) -> str:
    """Return a hint for an unknown name: the closest one, or all that are on this machine."""
    local = _local_names()
    short = [model.name for model in KNOWN_MODELS]
    if get_close_matches(name, {*local, *short}, n=1):
        return did_you_mean(name, {*local, *short})
    return f"{did_you_mean(name, local)}, and those of `capgen models list --known`"


def _local(name: str | None) -> ModelFolder | None:
    if name is None or name == BUNDLED:
        logger.debug("model %r is the bundled one", name)
        return ModelFolder(bundled_model_dir(), BUNDLED)
    if name == BUNDLED_INT8:
        logger.debug("model %r is the bundled one in 8 bits", name)
        return ModelFolder(bundled_int8_dir(), BUNDLED_INT8)
    for place in _places(name):
        if name and is_folder(place):
            _check_not_a_run(place, name)
            logger.debug("model %r is the folder %s", name, place)
            return ModelFolder(place, name)
    return None


def _local_names() -> list[str]:
    """Return the names of the bundled model, of runs and of exported models."""
    places = [place for place in (runs_dir(), models_dir()) if is_folder(place)]
    folders = [entry.name for place in places for entry in place.iterdir() if entry.is_dir()]
    return [*BUNDLED_MODELS, *(name for name in folders if not name.startswith("."))]


def _check_not_a_run(place: Path, name: str) -> None:
    """Raise ModelNotFoundError if the folder is a training run rather than one of its models."""
    if (place / RUN_SETTINGS_FILE).is_file() and not (place / CONFIG_FILE).is_file():
        known = [item for item in CHECKPOINTS if (place / item / CONFIG_FILE).is_file()]
        raise ModelNotFoundError(
            f"{name} is a training run, not a model",
            hint="Use one of its models: " + ", ".join(f"{name}/{item}" for item in known)
            if known
            else "It has saved no model yet.",
        )


def _check_not_a_file(name: str) -> None:
    """Raise ModelNotFoundError for the name of a file, such as weights."""
    place = _expanded(name)
    if is_file(place):
        form = weights_format([place.name])
        raise ModelNotFoundError(
            f"{name} is a file{f' in {form}' if form else ''}; a model is a folder",
            hint=format_hint([place.name])
            if form
            else f"Use the folder that has it beside a {CONFIG_FILE}.",
        )


def _expanded(name: str) -> Path:
    try:
        return Path(name).expanduser()
    except RuntimeError:  # `~user` for an unknown user
        return Path(name)


def _check_checkpoint(name: str) -> None:
    """Raise ModelNotFoundError for an unknown run or checkpoint, rather than ask the Hub."""
    run, _, checkpoint = name.partition("/")
    folder = runs_dir() / run
    if _REPOSITORY.fullmatch(name) and checkpoint in CHECKPOINTS and not is_folder(folder):
        runs = [entry for entry in _local_names() if entry not in BUNDLED_MODELS]
        raise ModelNotFoundError(
            f"There is no run '{run}' on this machine, so no {name}",
            hint=did_you_mean(run, runs) or "`capgen train --name NAME` makes a run.",
        )
    if run and checkpoint and "/" not in checkpoint and is_folder(folder):
        known = [entry.name for entry in folder.iterdir() if (entry / CONFIG_FILE).is_file()]
        raise ModelNotFoundError(
            f"The run '{run}' has no checkpoint '{checkpoint}'",
            hint=did_you_mean(checkpoint, known),
        )
