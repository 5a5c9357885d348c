"""Captioners of a process: each loaded once, few kept, a parent's never used."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest

from capgen.captioning.captioner import Captioner
from capgen.config import ModelOptions
from capgen.distributed.loaded_captioners import LoadedCaptioners


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """Return the names of the models that are loaded, in order."""
    found: list[str | None] = []

    def load(options: ModelOptions, *, threads: int) -> Any:
        found.append(options.model)
        return object()

    monkeypatch.setattr(Captioner, "from_options", load)
    return found


def test_threads_that_ask_at_once_get_the_same_one(names: list[str | None]) -> None:
    captioners, ready = LoadedCaptioners(), Barrier(8)

    def ask(_: int) -> Captioner:
        ready.wait()
        return captioners.get(ModelOptions(model="a"), 1)

    with ThreadPoolExecutor(8) as pool:
        assert len(set(map(id, pool.map(ask, range(8))))) == 1
    assert names == ["a"]


def test_those_used_last_stay(names: list[str | None]) -> None:
    captioners = LoadedCaptioners(limit=2)
    for name in "abacab":
        captioners.get(ModelOptions(model=name), 1)
    assert names == ["a", "b", "c", "b"]
    captioners.get(ModelOptions(model="b"), 2)
    assert names[-1] == "b" and len(names) == 5


def test_a_model_that_cannot_be_loaded_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def load(options: ModelOptions, *, threads: int) -> Any:
        asked.append(options.model)
        if len(asked) == 1:
            raise OSError
        return object()

    monkeypatch.setattr(Captioner, "from_options", load)
    captioners = LoadedCaptioners()
    with pytest.raises(OSError):
        captioners.get(ModelOptions(), 1)
    assert captioners.get(ModelOptions(), 1) is captioners.get(ModelOptions(), 1)
    assert len(asked) == 2


# Two threads, so that ONNX Runtime has one of its own, which the child lacks; another thread of
# the parent holds the lock.
FORKED = """
import os, sys
from capgen.config import ModelOptions
from capgen.distributed import loaded_captioners
from tests.fakes import draw_image

captioners = loaded_captioners.CAPTIONERS
mine = captioners.get(ModelOptions(), 2)
print(mine.caption(draw_image(1)).text, flush=True)
captioners._lock.acquire()
child = os.fork()
if child == 0:
    own = captioners.get(ModelOptions(), 2)
    assert own is not mine
    del mine
    print(own.caption(draw_image(1)).text, flush=True)
    for name in ("mini:int8", "mini"):
        captioners.get(ModelOptions(model=name), 2)
    os._exit(7)
assert os.waitpid(child, 0)[1] >> 8 == 7
captioners._lock.release()
assert captioners.get(ModelOptions(), 2) is mine
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_process_loads_its_own() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORKED], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    captions = done.stdout.splitlines()
    assert len(captions) == 2 and captions[0] == captions[1]
