"""Completion in shells: what is installed, and what the shells get when they ask."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT


def capgen(*arguments: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "capgen", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("shell", "asked"),
    [
        ("bash", {"COMP_WORDS": "capgen models ve", "COMP_CWORD": "2"}),
        ("zsh", {"_TYPER_COMPLETE_ARGS": "capgen models ve"}),
        (
            "fish",
            {
                "_TYPER_COMPLETE_ARGS": "capgen models ve",
                "_TYPER_COMPLETE_FISH_ACTION": "get-args",
            },
        ),
    ],
)
def test_shells_get_the_commands(shell: str, asked: dict[str, str]) -> None:
    found = capgen(_CAPGEN_COMPLETE=f"complete_{shell}", **asked)
    assert "verify" in found
    assert "rename" not in found


@pytest.mark.parametrize(
    ("shell", "file"),
    [
        ("bash", ".bash_completions/capgen.sh"),
        ("zsh", ".zfunc/_capgen"),
        ("fish", ".config/fish/completions/capgen.fish"),
    ],
)
def test_completion_is_installed(tmp_path: Path, shell: str, file: str) -> None:
    capgen(
        *("--install-completion", shell),
        HOME=str(tmp_path),
        _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1",
    )
    assert "_CAPGEN_COMPLETE" in (tmp_path / file).read_text(encoding="utf-8")
