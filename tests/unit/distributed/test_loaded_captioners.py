"""Captioners of a process: each loaded once, few kept, a parent's never used."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event
from types import SimpleNamespace
from typing import Any

import pytest

from capgen.captioning.captioner import Captioner
from capgen.config import ModelOptions
from capgen.distributed.loaded_captioners import LoadedCaptioners
from capgen.errors import ModelError


class StandIn:
    """A captioner that runs in ONNX Runtime, or in torch if its model is called so."""

    def __init__(self, model: str | None) -> None:
        self.runtime = SimpleNamespace(name="torch" if model == "torch" else "onnx")


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """Return the names of the models that are loaded, in order; "broken" cannot be."""
    found: list[str | None] = []

    def load(options: ModelOptions, *, threads: int) -> Any:
        found.append(options.model)
        if options.model == "broken":
            raise ModelError("no such model")
        return StandIn(options.model)

    monkeypatch.setattr(Captioner, "from_options", load)
    return found


def used(captioners: LoadedCaptioners, model: str, threads: int = 1) -> Captioner:
    with captioners.using(ModelOptions(model=model), threads) as captioner:
        return captioner


def test_threads_that_ask_at_once_get_the_same_one(names: list[str | None]) -> None:
    captioners, together = LoadedCaptioners(), Barrier(4, timeout=20)

    def ask(_: int) -> Captioner:
        together.wait()
        with captioners.using(ModelOptions(model="a"), 1) as captioner:
            together.wait()  # all use it at once
            return captioner

    with ThreadPoolExecutor(4) as pool:
        assert len(set(map(id, pool.map(ask, range(4))))) == 1
    assert names == ["a"]


def test_threads_take_turns_with_a_model_in_torch(names: list[str | None]) -> None:
    captioners, asking = LoadedCaptioners(), Event()

    def ask() -> Captioner:
        asking.set()
        return used(captioners, "torch")

    with ThreadPoolExecutor(1) as pool:
        with captioners.using(ModelOptions(model="torch"), 1) as mine:
            other = pool.submit(ask)
            assert asking.wait(20)
            with pytest.raises(TimeoutError):
                other.result(timeout=0.2)
            assert used(captioners, "a") is not mine  # another model is free
        assert other.result(timeout=20) is mine


def test_those_used_last_stay(names: list[str | None]) -> None:
    captioners = LoadedCaptioners(limit=2)
    for name in "abacab":
        used(captioners, name)
    assert names == ["a", "b", "c", "b"]
    used(captioners, "b", threads=2)
    assert names == ["a", "b", "c", "b", "b"]


def test_a_model_that_cannot_be_loaded_keeps_no_other_from_it(names: list[str | None]) -> None:
    captioners = LoadedCaptioners()
    for _ in range(2):
        with pytest.raises(ModelError):
            used(captioners, "broken")
    assert used(captioners, "a") is used(captioners, "a")
    assert names == ["broken", "broken", "a"]


# Two threads, so that ONNX Runtime has one of its own, which the child lacks; another thread of
# the parent holds the lock.
FORKED = """
import os, sys
from capgen.config import ModelOptions
from capgen.distributed import loaded_captioners
from tests.fakes import draw_image

captioners = loaded_captioners.CAPTIONERS

def used(model):
    with captioners.using(ModelOptions(model=model), 2) as captioner:
        return captioner

mine = used("mini")
print(mine.caption(draw_image(1)).text, flush=True)
captioners._lock.acquire()
child = os.fork()
if child == 0:
    own = used("mini")
    assert own is not mine
    del mine
    print(own.caption(draw_image(1)).text, flush=True)
    for name in ("mini:int8", "mini", "mini:int8"):
        used(name)
    os._exit(7)
assert os.waitpid(child, 0)[1] >> 8 == 7
captioners._lock.release()
assert used("mini") is mine
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_process_loads_its_own() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORKED], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    captions = done.stdout.splitlines()
    assert len(captions) == 2 and captions[0] == captions[1]
