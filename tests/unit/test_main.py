"""`capgen` and `python -m capgen`: how the command line is loaded."""

from __future__ import annotations

import signal
import sys
import tomllib
from collections.abc import Iterator, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import capgen.cli
from capgen.__main__ import run
from capgen.cli import main

ROOT = Path(__file__).parent.parent.parent


class Loading(MetaPathFinder, Loader):
    """Sees how Ctrl-C is handled while the command line is imported, and when it runs."""

    def __init__(self) -> None:
        self.handlers: list[Any] = []

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return ModuleSpec(fullname, self) if fullname == main.__name__ else None

    def exec_module(self, module: ModuleType) -> None:
        self._see()
        module.__dict__["run"] = self._see

    def _see(self) -> None:
        self.handlers.append(signal.getsignal(signal.SIGINT))


@pytest.fixture
def ctrl_c_put_back() -> Iterator[None]:
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(
    ("before", "meanwhile"),
    # Who started it may have it ignored.
    [(signal.default_int_handler, signal.SIG_DFL), (signal.SIG_IGN, signal.SIG_IGN)],
)
@pytest.mark.usefixtures("ctrl_c_put_back")
def test_ctrl_c_while_the_command_line_is_loaded_raises_nothing(
    monkeypatch: pytest.MonkeyPatch, before: Any, meanwhile: Any
) -> None:
    loading = Loading()
    monkeypatch.setitem(sys.modules, main.__name__, main)  # to be put back
    monkeypatch.delitem(sys.modules, main.__name__)
    monkeypatch.setattr(capgen.cli, "main", main)
    monkeypatch.delattr(capgen.cli, "main")
    monkeypatch.setattr(sys, "meta_path", [loading, *sys.meta_path])
    signal.signal(signal.SIGINT, before)
    run()
    assert loading.handlers == [meanwhile, before]


def test_the_installed_command_is_loaded_so() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    module, _, name = project["scripts"]["capgen"].partition(":")
    assert (module, name) == (run.__module__, run.__name__)
