"""`capgen` and `python -m capgen`: how the command line is loaded."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from pathlib import Path
from types import ModuleType

import pytest

import capgen.cli
from capgen.__main__ import run

ROOT = Path(__file__).parent.parent.parent


class CtrlC(MetaPathFinder):
    """Somebody types Ctrl-C while a module is imported."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> None:
        if fullname == "capgen.cli.main":
            raise KeyboardInterrupt


def test_ctrl_c_while_the_command_line_is_loaded_ends_it_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(capgen.cli, "main", raising=False)
    monkeypatch.delitem(sys.modules, "capgen.cli.main", raising=False)
    monkeypatch.setattr(sys, "meta_path", [CtrlC(), *sys.meta_path])
    with pytest.raises(SystemExit) as ended:
        run()
    assert ended.value.code == 130


def test_the_installed_command_is_loaded_so() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    module, _, name = project["scripts"]["capgen"].partition(":")
    assert (module, name) == (run.__module__, run.__name__)
