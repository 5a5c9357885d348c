"""Commands of capgen in processes of their own that share what they import (POSIX).

A process imports torch and transformers once, which takes seconds of processor time, and is then
copied (`fork`) for each command. What a command reads, writes and answers to signals is its own.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import subprocess
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="copies a process")
# What takes long to import. Nothing is computed with it before the copies are made: threads
# would not be copied.
_SHARED = (
    "capgen.captioning.captioner",
    "capgen.captioning.runtimes.torch_runtime",
    "capgen.training.run.train",
    "transformers.models.gpt2.modeling_gpt2",
    "transformers.generation.utils",
)


@dataclass
class Command:
    """A command that was started; stdout and stderr go to files."""

    process: int
    _starter: Starter
    _out: Path
    _err: Path
    _code: int | None = None

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal, or None while it runs."""
        if self._code is None:
            self._code = self._starter.ask("poll", self.process)
        return self._code

    def wait(self) -> tuple[int, str, str]:
        """Wait until it ends; return exit code, stdout and stderr."""
        if self._code is None:
            self._code = self._starter.ask("wait", self.process)
        return self._code, self._out.read_text("utf-8"), self._err.read_text("utf-8")

    def kill(self, number: int) -> int:
        """Send a signal, and wait until it ends; return the exit code."""
        os.kill(self.process, number)
        return self.wait()[0]


class Starter:
    """Starts commands; see `starter`."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self._process = process
        self._folder = folder
        self._count = 0

    def start(self, *arguments: str | Path, cwd: Path | None = None) -> Command:
        """Start `capgen` with arguments, in a folder (by default the one that tests are in)."""
        self._count += 1
        out, err = (self._folder / f"{self._count}.{name}" for name in ("out", "err"))
        where = str(cwd or Path.cwd())
        process = self.ask("start", [*map(str, arguments)], where, str(out), str(err))
        return Command(process, self, out, err)

    def run(self, *arguments: str | Path, cwd: Path | None = None) -> tuple[int, str, str]:
        """Start a command, and wait until it ends; return exit code, stdout and stderr."""
        return self.start(*arguments, cwd=cwd).wait()

    def ask(self, *request: Any) -> Any:
        """Send a request to the process that is copied; return its answer."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


@contextmanager
def starter(folder: Path, environment: Mapping[str, str] | None = None) -> Iterator[Starter]:
    """Run the process that is copied.

    Args:
        folder: Where the outputs of commands are kept.
        environment: The commands' environment variables, by default those of the tests.
    """
    folder.mkdir(parents=True)
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.forked_commands"],
        cwd=ROOT,
        env={**(environment or os.environ), "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Starter(process, folder)
    finally:
        process.communicate()  # the end of its input ends it


def _serve() -> None:
    """Answer requests on stdin, one a line, until there are no more."""
    for module in _SHARED:
        importlib.import_module(module)
    from capgen.models.efficientnet import VARIANTS
    from tests.tiny_models import TINY, TINY_SIZES

    VARIANTS[TINY] = TINY_SIZES  # for the captioners of tests
    gc.freeze()
    for line in sys.stdin:
        kind, *given = json.loads(line)
        answer = _start(*given) if kind == "start" else _ended(given[0], wait=kind == "wait")
        print(json.dumps(answer), flush=True)


def _start(arguments: list[str], where: str, out: str, err: str) -> int:
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        code = _command(arguments, where, out, err)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _command(arguments: list[str], where: str, out: str, err: str) -> int:
    """Be the command: no terminal, no input, and the outputs are files."""
    from capgen.cli.main import main

    for path, flags, target in (
        (os.devnull, os.O_RDONLY, 0),
        (out, os.O_WRONLY | os.O_CREAT, 1),
        (err, os.O_WRONLY | os.O_CREAT, 2),
    ):
        opened = os.open(path, flags, 0o644)
        os.dup2(opened, target)
        os.close(opened)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    os.chdir(where)
    sys.argv = ["capgen", *arguments]
    return main()


def _ended(process: int, *, wait: bool) -> int | None:
    found, status = os.waitpid(process, 0 if wait else os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if found else None


if __name__ == "__main__":
    _serve()
