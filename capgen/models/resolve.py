"""From a model's name to its folder: bundled, folder, training run, or Hub repository."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from capgen.errors import (
    ModelNotFoundError,
    NetworkError,
    UnsafeModelError,
    UsageError,
    did_you_mean,
)
from capgen.models.folder import (
    CHECKPOINTS,
    CONFIG_FILE,
    DECODER_GRAPH,
    ENCODER_GRAPH,
    RUN_SETTINGS_FILE,
    WEIGHTS_FILE,
    WEIGHTS_INDEX_FILE,
    ModelFolder,
)
from capgen.paths import bundled_model_dir, is_folder, models_dir, runs_dir

BUNDLED = "mini"
HUB_FILES = ["*.json", "*.txt", "model*.safetensors", ENCODER_GRAPH, DECODER_GRAPH]
CONVERSION_BOT = "SFconvertbot"
CONVERSION_TITLE = "Adding `safetensors` variant of this model"
CONNECT_SECONDS = 5.0
_REPOSITORY = re.compile(r"[\w.-]+(/[\w.-]+)?")


def resolve_model(name: str | None = None, *, revision: str | None = None) -> ModelFolder:
    """Find a model by name.

    Args:
        name: `mini` or None for the bundled model, a folder, `RUN/CHECKPOINT` of a training
            run, a model kept by name (exported or pulled), or a Hub id `USER/NAME` with an
            optional `@REVISION`.
        revision: Branch, tag or commit of a Hub repository.

    Raises:
        ModelNotFoundError: Nothing goes by that name.
        UnsafeModelError: The repository has pickled weights only.
        NetworkError: The Hub cannot be reached and the model is not in its cache.
        UsageError: A revision was given for a model that is not on the Hub.
    """
    local = _local(name)
    if local is not None and revision is not None:
        raise UsageError(f"--revision is for Hub models; {local.name} is on this machine")
    if local is not None:
        return local
    assert name is not None
    _check_checkpoint(name)
    identifier, _, tag = name.partition("@")
    looks_local = name.startswith((".", "/", "~", "\\")) or not _REPOSITORY.fullmatch(identifier)
    if looks_local or identifier.split("/")[0] in (".", ".."):
        raise ModelNotFoundError(
            f"No model {name!r}: not a folder, a run or a Hub id",
            hint=f"Use '{BUNDLED}', a model folder, RUN/best-loss, or USER/NAME of the Hub.",
        )
    return _from_hub(identifier, revision or tag or None)


def _local(name: str | None) -> ModelFolder | None:
    if name is None or name == BUNDLED:
        return ModelFolder(bundled_model_dir(), BUNDLED)
    for place in (_expanded(name), runs_dir() / name, models_dir() / name):
        if name and is_folder(place):
            _check_not_a_run(place, name)
            return ModelFolder(place, name)
    return None


def _check_not_a_run(place: Path, name: str) -> None:
    """Refuse a run where one of its models is wanted.

    Raises:
        ModelNotFoundError: The folder is a run's.
    """
    if (place / RUN_SETTINGS_FILE).is_file() and not (place / CONFIG_FILE).is_file():
        known = [item for item in CHECKPOINTS if (place / item / CONFIG_FILE).is_file()]
        raise ModelNotFoundError(
            f"{name} is a training run, not a model",
            hint="Name one of its models: " + ", ".join(f"{name}/{item}" for item in known)
            if known
            else "It has saved no model yet.",
        )


def _expanded(name: str) -> Path:
    try:
        return Path(name).expanduser()
    except RuntimeError:  # `~somebody` who is not there
        return Path(name)


def _check_checkpoint(name: str) -> None:
    """Refuse a wrong checkpoint of a run that is there, rather than ask the Hub for it.

    Raises:
        ModelNotFoundError: The run has no such checkpoint.
    """
    run, _, checkpoint = name.partition("/")
    folder = runs_dir() / run
    if run and checkpoint and "/" not in checkpoint and is_folder(folder):
        known = [entry.name for entry in folder.iterdir() if (entry / CONFIG_FILE).is_file()]
        raise ModelNotFoundError(
            f"The run '{run}' has no checkpoint '{checkpoint}'",
            hint=did_you_mean(checkpoint, known),
        )


def _from_hub(identifier: str, revision: str | None) -> ModelFolder:
    with hub_errors(identifier, revision):
        folder = _snapshot(identifier, revision)
        if not _has_safetensors(folder) and revision is None:
            converted = _conversion_revision(identifier)
            if converted is not None:
                folder = _snapshot(identifier, converted)
    if _has_safetensors(folder):
        return folder
    if (folder.path / CONFIG_FILE).is_file():
        raise UnsafeModelError(
            f"{identifier} has no safetensors weights; capgen does not load pickles",
            hint="Ask its author for safetensors, or convert it in a sandbox.",
        )
    raise ModelNotFoundError(f"{identifier} is not a model: it has no {CONFIG_FILE}")


def _snapshot(identifier: str, revision: str | None) -> ModelFolder:
    from huggingface_hub import snapshot_download

    path = snapshot_download(
        identifier, revision=revision, allow_patterns=HUB_FILES, local_files_only=_offline()
    )
    return ModelFolder(Path(path), identifier, revision=Path(path).name)


def _has_safetensors(folder: ModelFolder) -> bool:
    return any((folder.path / name).is_file() for name in (WEIGHTS_FILE, WEIGHTS_INDEX_FILE))


def _conversion_revision(identifier: str) -> str | None:
    """Find the pull request in which the Hub's own bot converted a pickled model, if any.

    Popular old models (some of the CLIP ones among them) have their safetensors only there.
    """
    from huggingface_hub import HfApi, constants
    from huggingface_hub.file_download import repo_folder_name

    if _offline():
        # What was fetched before: the cache names it by the revision it was asked for.
        cached = Path(
            constants.HF_HUB_CACHE, repo_folder_name(repo_id=identifier, repo_type="model")
        )
        known = sorted((cached / "refs" / "refs" / "pr").glob("*"))
        return f"refs/pr/{known[-1].name}" if known else None
    for discussion in HfApi().get_repo_discussions(
        identifier, author=CONVERSION_BOT, discussion_type="pull_request"
    ):
        if discussion.author == CONVERSION_BOT and discussion.title == CONVERSION_TITLE:
            return f"refs/pr/{discussion.num}"
    return None


@contextmanager
def hub_errors(identifier: str, revision: str | None = None) -> Iterator[None]:
    """Turn huggingface_hub's errors about a repository into capgen's.

    Raises:
        ModelNotFoundError: No such repository or revision, or it is private or gated.
        NetworkError: The Hub cannot be reached, or refuses.
    """
    from huggingface_hub import constants, errors

    try:
        yield
    except errors.GatedRepoError as error:
        raise ModelNotFoundError(
            f"{identifier} is gated: its terms must be accepted on the Hub first",
            hint="Accept them in the browser, then log in with `hf auth login`.",
        ) from error
    except errors.RevisionNotFoundError as error:
        raise ModelNotFoundError(f"{identifier} has no revision '{revision}'") from error
    except errors.RepositoryNotFoundError as error:
        raise ModelNotFoundError(
            f"No model '{identifier}' on the Hub ({constants.ENDPOINT}), or it is private",
            hint="Check the name; for a private model log in with `hf auth login`.",
        ) from error
    except errors.LocalEntryNotFoundError as error:
        raise NetworkError(
            f"Cannot reach {constants.ENDPOINT}, and {identifier} is not in the local cache",
            hint="Go online once, or give a model folder. The bundled model needs no network.",
        ) from error
    except errors.HFValidationError as error:
        raise ModelNotFoundError(f"'{identifier}' is not a Hub id: {error}") from error
    except errors.HTTPError as error:  # type: ignore[attr-defined]  # its HTTP library's
        first_line = str(error).strip().split("\n")[0]
        raise NetworkError(f"{constants.ENDPOINT} failed for {identifier}: {first_line}") from error


def _offline() -> bool:
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE) or not _reachable(constants.ENDPOINT)


def _reachable(endpoint: str) -> bool:
    """Whether a server answers at the endpoint, found out in seconds rather than half a minute."""
    from huggingface_hub import errors
    from huggingface_hub.utils import get_session  # type: ignore[attr-defined]

    try:
        get_session().head(endpoint, timeout=CONNECT_SECONDS)
    except errors.HTTPError:  # type: ignore[attr-defined]
        return False
    return True
