"""Commands of capgen as a user runs them: a process each."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent


def environment() -> dict[str, str]:
    """Return the environment variables of a command."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"}


def start(*arguments: str | bytes | Path, **options: Any) -> subprocess.Popen[bytes]:
    """Start `capgen` without input; stdout and stderr are pipes.

    Args:
        arguments: The command line after `capgen`.
        options: Of `subprocess.Popen`.
    """
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(
        [sys.executable, "-m", "capgen", *arguments], **{"env": environment(), **pipes, **options}
    )


def capgen(
    *arguments: str | bytes | Path, send: bytes | None = None, **options: Any
) -> tuple[int, str, str]:
    """Run a command that must not show a traceback; return exit code, stdout and stderr."""
    if send is not None:
        options["stdin"] = subprocess.PIPE
    process = start(*arguments, **options)
    out, err = process.communicate(send, timeout=120)
    said = (err or b"").decode()
    assert "Traceback" not in said, said
    return process.returncode, (out or b"").decode("utf-8", "surrogateescape"), said
