"""From a model's name to its folder: bundled, folder, training run, or Hub repository."""

from __future__ import annotations

import glob
import logging
import re
from collections.abc import Collection
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from capgen.addresses import is_url, without_credentials
from capgen.errors import (
    ModelError,
    ModelNotFoundError,
    NetworkError,
    UnsafeModelError,
    UsageError,
    did_you_mean,
)
from capgen.hub_client.progress import download_bar
from capgen.hub_client.pulled import read_pulled
from capgen.hub_client.repository import RemoteFile, check_content, list_repository
from capgen.hub_client.session import find_token, hub_errors, offline, patient
from capgen.models.adapters import ADAPTER_WEIGHTS, AdaptedFolder, base_name, is_adapter
from capgen.models.folder import (
    CHECKPOINTS,
    CONFIG_FILE,
    RUN_SETTINGS_FILE,
    WEIGHTS_FILE,
    WEIGHTS_INDEX_FILE,
    ModelFolder,
)
from capgen.models.hub_files import CODE_FILES, MODEL_FILES, Limits, wanted_files
from capgen.models.kinds import format_hint, weights_format, without_config
from capgen.models.known import KNOWN_MODELS, known_model
from capgen.paths import bundled_model_dir, is_file, is_folder, models_dir, runs_dir, storage_errors

logger = logging.getLogger(__name__)

BUNDLED = "mini"
CONVERSION_BOT = "SFconvertbot"
CONVERSION_TITLE = "Adding `safetensors` variant of this model"
_REPOSITORY = re.compile(r"[\w.-]+(/[\w.-]+)?")


def resolve_model(
    name: str | None = None, *, revision: str | None = None, trust_remote_code: bool = False
) -> ModelFolder:
    """Find a model by name.

    Args:
        name: `mini` or None for the bundled model, a folder, `RUN/CHECKPOINT` of a training
            run, the name of an exported model, or a Hub id `USER/NAME` or the short name of a
            known model, with an optional `@REVISION`. What is on this machine comes first.
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
    return name == BUNDLED or (bool(name) and any(map(is_folder, _places(name))))


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
    return [BUNDLED, *(name for name in folders if not name.startswith("."))]


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
        runs = [entry for entry in _local_names() if entry != BUNDLED]
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


def fetch(
    identifier: str,
    revision: str | None = None,
    *,
    trust_remote_code: bool = False,
    limits: Limits | None = None,
    recheck: bool = False,
) -> ModelFolder:
    """Download a model from the Hub into Hugging Face's cache and check it, or find it there.

    Args:
        identifier: `USER/NAME`.
        revision: Branch, tag or commit; None is the main branch.
        trust_remote_code: Also download its Python files.
        limits: How large it may be.
        recheck: Also check files that are already in the cache.

    Raises:
        ModelNotFoundError: There is no such repository or revision, or it is not a model.
        UnsafeModelError: The only weights are pickled, or a name leads out of the folder.
        ModelError: The model is too large, or arrived damaged.
        NetworkError: The Hub cannot be reached and the model is not in the cache.
        StorageError: The cache cannot be written.
        UsageError: The token contains characters that no token has.
    """
    fetching = _Fetching(identifier, trust_remote_code, limits or Limits(), recheck)
    with hub_errors(identifier, revision), patient():
        folder, names = fetching.snapshot(revision)
        if not _has_safetensors(folder) and revision is None:
            converted = _conversion_revision(identifier)
            if converted is not None:
                logger.debug("%s has only pickled weights: using %s", identifier, converted)
                folder, names = fetching.snapshot(converted)
    if _has_safetensors(folder):
        return folder
    if not (folder.path / CONFIG_FILE).is_file():
        raise _no_model(folder, names)
    form = weights_format(names)
    if form is not None and not any(name.endswith((".bin", ".pt", ".pth")) for name in names):
        raise ModelError(
            f"{identifier} has weights in {form}, not in safetensors", hint=format_hint(names)
        )
    raise UnsafeModelError(
        f"{identifier} has no safetensors weights; capgen does not load pickles",
        hint="Ask its author for safetensors, or convert it in a sandbox (docs/hub.md).",
    )


def _no_model(folder: ModelFolder, names: Collection[str]) -> ModelNotFoundError:
    """Return an error that says what a repository without `config.json` is."""
    if other := without_config(names, folder.read_json):
        return ModelNotFoundError(f"{folder.name} is {other.what}", hint=other.hint)
    return ModelNotFoundError(f"{folder.name} is not a model: it has no {CONFIG_FILE}")


@dataclass(frozen=True)
class _Fetching:
    """What to download of a repository, and how much of it."""

    identifier: str
    code: bool
    limits: Limits
    recheck: bool

    def snapshot(self, revision: str | None) -> tuple[ModelFolder, Collection[str]]:
        """Return the folder of a revision, and the names of all files it is known to have.

        Offline, the folder comes from the cache.
        """
        from huggingface_hub import constants, snapshot_download

        if offline():
            logger.debug("offline: looking for %s in the cache", self.identifier)
            patterns = [*MODEL_FILES, *(CODE_FILES if self.code else ())]
            path = snapshot_download(
                self.identifier, revision=revision, allow_patterns=patterns, local_files_only=True
            )
            folder = self._folder(path)
            return folder, {item.name for item in folder.path.iterdir()}
        token = find_token()
        for _ in range(2):  # a branch may move meanwhile
            listing = list_repository(self.identifier, revision, token=token)
            files = wanted_files(self.identifier, listing, code=self.code, limits=self.limits)
            unchecked = [file for file in files if not self._checked(file, listing.commit)]
            logger.debug(
                "%s is at commit %s: %d files, %d of them to download or check",
                *(self.identifier, listing.commit, len(files), len(unchecked)),
            )
            names = [glob.escape(file.name) for file in files]
            if not names:
                raise _no_model(ModelFolder(Path(), self.identifier), listing.files)
            with storage_errors(Path(constants.HF_HUB_CACHE)), download_bar() as bar:
                path = snapshot_download(
                    self.identifier,
                    revision=revision,
                    allow_patterns=names,
                    token=token,
                    tqdm_class=bar,
                )
            folder = self._folder(path)
            if folder.revision == listing.commit:
                check_content(self.identifier, folder.path, unchecked)
                return folder, listing.files
        raise NetworkError(f"{self.identifier} changed during the download", hint="Try again.")

    def _checked(self, file: RemoteFile, commit: str) -> bool:
        from huggingface_hub import try_to_load_from_cache

        path = try_to_load_from_cache(self.identifier, file.name, revision=commit)
        return isinstance(path, str) and not self.recheck

    def _folder(self, path: str) -> ModelFolder:
        return ModelFolder(Path(path), self.identifier, revision=Path(path).name)


def _has_safetensors(folder: ModelFolder) -> bool:
    if is_adapter(folder.path):
        return (folder.path / ADAPTER_WEIGHTS).is_file()
    return any((folder.path / name).is_file() for name in (WEIGHTS_FILE, WEIGHTS_INDEX_FILE))


def _conversion_revision(identifier: str) -> str | None:
    """Find the pull request in which the Hub's own bot converted a pickled model, if any.

    Popular old models, including some CLIP models, have their safetensors only there.
    """
    from huggingface_hub import HfApi, constants
    from huggingface_hub.file_download import repo_folder_name

    if offline():
        # The cache names an earlier download by the revision that was asked for.
        cached = Path(
            constants.HF_HUB_CACHE, repo_folder_name(repo_id=identifier, repo_type="model")
        )
        known = sorted((cached / "refs" / "refs" / "pr").glob("*"))
        return f"refs/pr/{known[-1].name}" if known else None
    for discussion in HfApi().get_repo_discussions(
        identifier, author=CONVERSION_BOT, discussion_type="pull_request", token=find_token()
    ):
        if discussion.author == CONVERSION_BOT and discussion.title == CONVERSION_TITLE:
            return f"refs/pr/{discussion.num}"
    return None
