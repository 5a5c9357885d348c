"""Downloads a model from the Hub into Hugging Face's cache, and checks it."""

from __future__ import annotations

import glob
import logging
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from capgen.errors import ModelError, ModelNotFoundError, NetworkError, UnsafeModelError
from capgen.hub_client.progress import download_bar
from capgen.hub_client.repository import RemoteFile, check_content, list_repository
from capgen.hub_client.session import find_token, hub_errors, offline, patient
from capgen.models.adapters import ADAPTER_WEIGHTS, is_adapter
from capgen.models.folder import CONFIG_FILE, WEIGHTS_FILE, WEIGHTS_INDEX_FILE, ModelFolder
from capgen.models.hub_files import CODE_FILES, MODEL_FILES, Limits, wanted_files
from capgen.models.kinds import format_hint, weights_format, without_config
from capgen.paths import storage_errors

logger = logging.getLogger(__name__)

CONVERSION_BOT = "SFconvertbot"
CONVERSION_TITLE = "Adding `safetensors` variant of this model"


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
