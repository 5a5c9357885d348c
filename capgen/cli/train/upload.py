"""`capgen train --save-to-hub`: pushes the best model when training ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import typer

from capgen.cli.console import Console
from capgen.config import BOOLEANS
from capgen.errors import CapgenError, UsageError

NOT_UPLOADED = 3
REPOSITORY_VARIABLE = "HF_REPO_NAME"
PRIVATE_VARIABLE = "HF_PRIVATE"


@dataclass(frozen=True)
class Upload:
    """Where to push a trained model.

    Attributes:
        repository: `USER/NAME`.
        private: Make the repository private.
        token: The Hub's access token.
    """

    repository: str
    private: bool
    token: str

    def __repr__(self) -> str:
        return f"Upload({self.repository!r}, private={self.private})"  # never the token


def wanted_upload(
    repository: str | None, private: bool, environment: Mapping[str, str]
) -> Upload | None:
    """Return the push that options or environment ask for, checked before training begins."""
    from capgen.hub.login import need_token
    from capgen.hub.push import check_repository

    repository = repository or environment.get(REPOSITORY_VARIABLE) or None
    if repository is None:
        if private:
            raise UsageError("--private needs --save-to-hub USER/NAME")
        return None
    text = environment.get(PRIVATE_VARIABLE, "").lower()
    if text and text not in BOOLEANS:
        raise UsageError(f"{PRIVATE_VARIABLE} is {text!r}; it must be true or false")
    check_repository(repository)
    return Upload(repository, private or BOOLEANS.get(text, False), need_token())


def upload_run(run: str, upload: Upload, console: Console) -> None:
    """Push a run's best model; after a failure, say how to do it later and exit with 3."""
    from capgen.hub.push import PushOptions, plan_push, push_model
    from capgen.models.folder import ModelFolder

    place = Path(run) / "best-eval"
    later = f"capgen hub push {place} {upload.repository}" + (" --private" * upload.private)
    try:
        folder = ModelFolder(place, f"{Path(run).name}/{place.name}")
        plan = plan_push(folder, upload.repository, PushOptions(private=upload.private))
        console.note(f"pushing {folder.name} to {upload.repository}")
        pushed = push_model(plan, upload.token)
    except CapgenError as error:
        console.error(f"The model was trained, but not pushed: {error.message}", error.hint)
        console.note(f"push it later with: {later}")
        raise typer.Exit(NOT_UPLOADED) from error
    except KeyboardInterrupt:
        console.note(f"the model is in {place}; push it later with: {later}")
        raise
    console.note(f"pushed to {pushed.url}")
