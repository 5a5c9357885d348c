"""Push a model: plan it without the network, then push it as one commit."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from capgen.errors import CapgenError, ModelError, ModelNotFoundError, NetworkError, UsageError
from capgen.hub.card import model_card
from capgen.hub.card_examples import Example
from capgen.hub.files import PushFile, is_ours, model_files
from capgen.hub.login import check_reachable
from capgen.hub_client.repository import Listing, list_repository
from capgen.hub_client.session import (
    LOGIN_HINT,
    Patience,
    Waiting,
    hub_errors,
    own_error,
    patient,
    refusal,
)
from capgen.models.folder import CARD_FILE, ModelFolder

MAIN = "main"
_REPOSITORY = re.compile(r"\w[\w.-]*/\w[\w.-]*")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_LICENCE = re.compile(r"[a-z0-9][a-z0-9.+-]*")


@dataclass(frozen=True, kw_only=True)
class PushOptions:
    """How a model is pushed.

    Attributes:
        private: Create a private repository, and refuse to push to a public one.
        revision: Branch to commit to, created if necessary; None is `main`.
        message: Commit message; empty for one that names the model.
        licence: The Hub's identifier of the weights' licence.
        examples: Images with captions, for the card.
    """

    private: bool = False
    revision: str | None = None
    message: str = ""
    licence: str = "other"
    examples: tuple[Example, ...] = ()


@dataclass(frozen=True)
class PushPlan:
    """The files that a push will send to a repository, `USER/NAME`."""

    model: str
    repository: str
    options: PushOptions
    files: tuple[PushFile, ...]

    @property
    def card(self) -> str:
        """The text of the model card."""
        (card,) = (file.source for file in self.files if file.name == CARD_FILE)
        return card.decode() if isinstance(card, bytes) else card.read_text(encoding="utf-8")

    @property
    def message(self) -> str:
        """The commit message."""
        return self.options.message or f"Push {self.model} with capgen"

    @property
    def branch(self) -> str:
        """The branch to commit to."""
        return self.options.revision or MAIN

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as built-in types."""
        return {
            "model": self.model,
            "repository": self.repository,
            "private": self.options.private,
            "revision": self.branch,
            "message": self.message,
            "bytes": sum(file.size for file in self.files),
            "files": [{"name": f.name, "size": f.size, "sha256": f.sha256} for f in self.files],
        }


@dataclass(frozen=True)
class Pushed:
    """The result of a push.

    Attributes:
        repository: `USER/NAME`.
        revision: The branch.
        commit: The commit that has the model.
        url: The commit's page on the Hub.
        changed: Whether the push made a new commit.
        private: Whether the repository is private.
        removed: Files of an older push that were deleted.
    """

    repository: str
    revision: str
    commit: str
    url: str
    changed: bool
    private: bool
    removed: tuple[str, ...] = ()


def plan_push(folder: ModelFolder, repository: str, options: PushOptions | None = None) -> PushPlan:
    """Collect the files of a push, without the network and without writing anything.

    Raises:
        UsageError: The repository, revision or licence is not valid.
        ModelError: A part of the model is missing or damaged.
        UnsafeModelError: Its weights are a pickle.
    """
    options = options or PushOptions()
    check_repository(repository)
    revision = options.revision
    if revision is not None and (
        _COMMIT.fullmatch(revision) or revision.startswith(("refs/", "-")) or not revision.strip()
    ):
        raise UsageError(f"--revision is '{revision}'; it must be the name of a branch")
    if not _LICENCE.fullmatch(options.licence):
        raise UsageError(
            f"--license is '{options.licence}'; it must be a licence identifier of the Hub",
            hint="For example apache-2.0, mit, cc-by-4.0, other.",
        )
    files = model_files(folder)
    card = model_card(folder, repository, licence=options.licence, examples=options.examples)
    files.append(PushFile(CARD_FILE, card.encode()))
    files += [PushFile(example.name, example.content) for example in options.examples]
    return PushPlan(folder.name, repository, options, tuple(files))


def check_repository(name: str) -> None:
    """Raise UsageError if a repository cannot have this name."""
    if not _REPOSITORY.fullmatch(name) or "--" in name or ".." in name:
        raise UsageError(f"'{name}' is not a valid repository name; it must be USER/NAME")


def current_visibility(repository: str, token: str) -> str:
    """Return whether a repository is `public` or `private`, or `new` if there is none yet.

    Raises:
        NetworkError: The Hub cannot be reached.
    """
    from huggingface_hub.errors import RepositoryNotFoundError

    check_reachable()
    with _push_errors(repository, token), patient(None) as waiting:
        try:
            listing = waiting.repeat(lambda: list_repository(repository, token=token))
        except RepositoryNotFoundError as error:
            if error.response.status_code == 401:  # of a token that the Hub does not know
                raise
            return "new"
    return "private" if listing.private else "public"


def push_model(plan: PushPlan, token: str, *, patience: Patience | None = None) -> Pushed:
    """Push a model in one commit, and check that the Hub has what was sent.

    Large files that the Hub already has, even from an interrupted push, are not sent again.
    Files of an older push that the model no longer has are deleted; other files in the
    repository are kept.

    Args:
        plan: What to push.
        token: The Hub's access token, with permission to write.
        patience: How long the Hub may fail before the push is given up.

    Raises:
        NetworkError: The Hub cannot be reached, refuses the push, or has other content
            afterwards. Only in the last case may the branch have changed.
        UsageError: The repository is public, but `private` is set.
    """
    from huggingface_hub import constants

    check_reachable()
    sent = {file.name for file in plan.files}
    with _push_errors(plan.repository, token), patient(patience) as waiting:
        before = _prepare(plan, token, waiting)
        removed = sorted(name for name in before.files if is_ours(name) and name not in sent)
        commit = _commit(plan, token, before, removed, waiting)
        after = waiting.repeat(lambda: list_repository(plan.repository, commit, token=token))
    _check(plan, after)
    return Pushed(
        repository=plan.repository,
        revision=plan.branch,
        commit=commit,
        url=f"{constants.ENDPOINT}/{plan.repository}/tree/{commit}",
        changed=commit != before.commit,
        private=after.private,
        removed=tuple(removed),
    )


def _prepare(plan: PushPlan, token: str, waiting: Waiting) -> Listing:
    """Create the repository and branch if necessary; return the branch's files."""
    from huggingface_hub import HfApi

    api, name = HfApi(), plan.repository
    visibility = True if plan.options.private else None
    waiting.repeat(lambda: api.create_repo(name, private=visibility, exist_ok=True, token=token))
    listing = waiting.repeat(lambda: list_repository(name, token=token))
    if plan.options.private and not listing.private:
        raise UsageError(
            f"{name} is public, but you asked for --private; nothing was sent",
            hint="Make it private on the Hub first, or choose another name.",
        )
    branch = plan.branch
    if branch == MAIN:
        return listing
    waiting.repeat(lambda: api.create_branch(name, branch=branch, exist_ok=True, token=token))
    return waiting.repeat(lambda: list_repository(name, branch, token=token))


def _commit(
    plan: PushPlan, token: str, before: Listing, removed: list[str], waiting: Waiting
) -> str:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

    operations: list[Any] = [
        CommitOperationAdd(path_in_repo=file.name, path_or_fileobj=file.source)
        for file in plan.files
    ]
    operations += [CommitOperationDelete(path_in_repo=name) for name in removed]
    commit = waiting.repeat(
        lambda: HfApi().create_commit(
            plan.repository,
            operations,
            commit_message=plan.message,
            revision=plan.branch,
            parent_commit=before.commit,
            token=token,
        )
    )
    return str(commit.oid)


def _check(plan: PushPlan, after: Listing) -> None:
    """Raise NetworkError if the Hub has other content than was sent."""
    for file in plan.files:
        remote = after.files.get(file.name)
        same = remote is not None and (
            remote.sha256 == file.sha256 if remote.sha256 else remote.blob == file.blob
        )
        if not same:
            raise NetworkError(
                f"{file.name} in {plan.repository} differs from what was sent", hint="Push again."
            )


@contextmanager
def _push_errors(repository: str, token: str) -> Iterator[None]:
    """Turn errors of a push into capgen's errors, with the token removed from messages."""
    try:
        with hub_errors(repository), _upload_errors(repository):
            yield
    except CapgenError as error:
        error.message = error.message.replace(token, "***")
        error.args = (error.message,)
        raise


@contextmanager
def _upload_errors(repository: str) -> Iterator[None]:
    from huggingface_hub import errors

    try:
        yield
    except errors.RepositoryNotFoundError as error:
        # The Hub answers 401 if the user may not know whether the repository exists.
        if error.response.status_code == 401:
            raise refusal(error, repository) from error
        raise ModelNotFoundError(
            f"There is no repository '{repository}' that this token may write to", hint=LOGIN_HINT
        ) from error
    except errors.HTTPError:  # type: ignore[attr-defined]  # some are also ValueErrors
        raise
    except errors.HFValidationError as error:
        raise UsageError(f"'{repository}' is not a valid repository name: {error}") from error
    except RuntimeError as error:  # the client wraps errors of uploads in it
        given_up = own_error(error)
        if given_up is not None:
            raise given_up from error
        if not isinstance(error.__cause__, errors.HTTPError):  # type: ignore[attr-defined]
            raise
        raise refusal(error.__cause__, repository) from error
    except OSError as error:
        if isinstance(error, ConnectionError | TimeoutError) or type(error).__module__ == "hf_xet":
            first_line = str(error).strip().split("\n")[0]
            raise NetworkError(f"The upload failed: {first_line}", hint="Push again.") from error
        raise ModelError(f"Cannot read {error.filename}: {error.strerror}") from error
    except ValueError as error:  # the client raises it for malformed answers
        first_line = str(error).strip().split("\n")[0]
        raise NetworkError(f"The Hub sent a malformed answer: {first_line}") from error
