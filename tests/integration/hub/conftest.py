"""A Hub to push to, and small models to push."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from capgen.models.checkpoint import save_captioning
from capgen.models.folder import ModelFolder
from tests import tiny_captioners
from tests.hub_stand_in import Hub, point_at, serving
from tests.integration.hub.pushing import PROVENANCE, TOKEN


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A Hub with one user, `me`, whose token is in the environment."""
    with serving() as running:
        point_at(running, monkeypatch, tmp_path)
        running.users = {TOKEN: "me"}
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield running


@pytest.fixture(scope="session")
def saved_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A captioner with a CLIP encoder."""
    folder = tmp_path_factory.mktemp("models") / "clip"
    made = tiny_captioners.captioning(tiny_captioners.clip_vision())
    save_captioning(folder, made, PROVENANCE)
    return folder


@pytest.fixture
def clip(saved_clip: Path) -> ModelFolder:
    """The same as a model folder."""
    return ModelFolder(saved_clip, "tiny/best-eval")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Skip the client's pauses, and return how long they would have been."""
    pauses: list[float] = []
    # Threads that earlier tests have left, such as Spark's, pause in loops: they really do.
    others = {thread.ident for thread in threading.enumerate()} - {threading.get_ident()}
    real = time.sleep

    def sleep(seconds: float) -> None:
        if threading.get_ident() in others:
            real(seconds)
        else:
            pauses.append(seconds)

    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", sleep)
    return pauses
