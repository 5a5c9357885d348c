"""Java programs that end: each wait has a limit, all output is read, and nothing is left running.

A program that blocks on a full pipe, sleeps, dies or writes nonsense leads to a `MetricError`
within its limits. It runs in a process group of its own, which is killed when the program is left,
by Ctrl-C as well.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import IO, Any, Self

from capgen.config.evaluation import JavaLimits
from capgen.ending_signals import ending_signals
from capgen.errors import MetricError

_VERSION = re.compile(r'version "(?:1\.)?(\d+)')
# Standard error is kept for messages: its end is what a program died of.
_KEPT_LINES = 200
_LONGEST_MESSAGE = 500
# A program that writes no line feeds cannot fill the memory.
_LONGEST_LINE = 1 << 20


class JavaProgram:
    """A running Java program, for a `with` block that ends it.

    Args:
        name: The program's name, for messages.
        arguments: What follows `java` on the command line, without the limit on memory.
        gigabytes: The limit on its heap memory (`-Xmx`).
        folder: The folder it runs in.
        limits: How long it may take.

    Raises:
        MetricError: Java cannot be started.
    """

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        *,
        gigabytes: int,
        folder: Path,
        limits: JavaLimits,
    ) -> None:
        self._name = name
        self._gigabytes = gigabytes
        self._limits = limits
        self._begun = time.monotonic()
        self._sign_of_life = threading.Event()
        self._errors: deque[str] = deque(maxlen=_KEPT_LINES)
        command = [f"-Xmx{gigabytes}G", "-Dfile.encoding=UTF-8", *arguments]
        self._readers: list[threading.Thread] = []
        process = None
        try:
            with _interruptions_held():
                process = _start(name, command, folder)
            self._process = process
            self._readers.append(_thread(self._read_output, process.stdout))
            self._readers.append(_thread(self._read_errors, process.stderr))
        except BaseException:
            if process is not None:
                _kill(process)
            raise

    def finish(self) -> list[str]:
        """Wait until the program ends by itself; return the end of its standard error.

        Raises:
            MetricError: It takes longer than its limits, or fails.
        """
        if not self._sign_of_life.wait(self._left(self._limits.start)):
            raise self._too_slow(started=False)
        try:
            code = self._process.wait(self._left(self._limits.timeout))
        except subprocess.TimeoutExpired:
            raise self._too_slow(started=True) from None
        if code:
            raise self.failure(_how_it_ended(code))
        self._readers[1].join(1)
        return list(self._errors)

    def failure(self, what: str) -> MetricError:
        """End the program, and return the error of what it did wrong, with its last words."""
        self.end()
        words = [line for line in self._errors if line.strip()]
        # Java names an exception in a line before those of where it happened.
        named = [line for line in words if "Exception" in line or "Error" in line]
        said = f": {(named or words[-1:])[0].strip()[:200]}" if words else ""
        return MetricError(f"The official {self._name} {what}{said}", hint=self._memory())

    def end(self) -> None:
        """Kill the program and those that it started."""
        _kill(self._process)
        for reader in self._readers:
            reader.join(1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()

    def _left(self, limit: float) -> float:
        """Return the seconds until the program has run for `limit` seconds."""
        return max(0.0, self._begun + limit - time.monotonic())

    def _too_slow(self, *, started: bool) -> MetricError:
        if started or self._limits.timeout <= self._limits.start:
            limit, what, flag = self._limits.timeout, "has not finished", "--java-timeout"
        else:
            limit, what, flag = self._limits.start, "has not started", "--java-start"
        return MetricError(
            f"The official {self._name} {what} after {limit:g} s, and was ended",
            hint=f"Give it longer with {flag}. {self._memory()}",
        )

    def _memory(self) -> str:
        return f"It may take {self._gigabytes} GB of memory (-Xmx{self._gigabytes}G)."

    def _read_output(self, stream: IO[bytes]) -> None:
        for _ in _lines(stream):
            self._sign_of_life.set()
        self._sign_of_life.set()

    def _read_errors(self, stream: IO[bytes]) -> None:
        for line in _lines(stream):
            self._errors.append(_plain(line[:_LONGEST_MESSAGE]))
            self._sign_of_life.set()


def _plain(line: str) -> str:
    """Return a line without what would steer a terminal."""
    return "".join(character if character.isprintable() else " " for character in line)


def _how_it_ended(code: int) -> str:
    return f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"


def java_version(name: str, gigabytes: int, limits: JavaLimits) -> int:
    """Return the version of the java on the PATH, as in 8 or 17.

    Args:
        name: The program that needs it, for messages.
        gigabytes: The memory it will be given: Java refuses what the machine does not have.
        limits: How long Java may take to start.

    Raises:
        MetricError: There is no Java, it does not start in time, or does not tell its version.
    """
    limits = JavaLimits(start=limits.start, timeout=limits.start + 1)
    arguments, folder = ["-version"], Path.cwd()
    with JavaProgram(name, arguments, gigabytes=gigabytes, folder=folder, limits=limits) as java:
        text = "\n".join(java.finish())
        found = _VERSION.search(text)
        if found is None:
            raise java.failure("cannot run: `java -version` does not tell its version")
    return int(found[1])


def check_java(name: str) -> None:
    """Check that there is a java on the PATH, for the program `name`."""
    if shutil.which("java") is None:
        raise MetricError(
            f"The official {name} needs Java, but there is no java on the PATH",
            hint="Install a Java runtime, or leave this metric out.",
        )


def _start(name: str, arguments: Sequence[str], folder: Path) -> subprocess.Popen[bytes]:
    check_java(name)
    pipe = subprocess.PIPE
    try:
        return subprocess.Popen(
            ["java", *arguments],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=pipe,
            stderr=pipe,
            # Ctrl-C is for capgen, which then ends the group.
            start_new_session=True,
        )
    except OSError as error:
        raise MetricError(
            f"The official {name} needs Java, and java cannot be started: {error}",
            hint="Install a Java runtime, or leave this metric out.",
        ) from error


@contextlib.contextmanager
def _interruptions_held() -> Iterator[None]:
    """Have Ctrl-C and the like wait for the block: a program half started cannot be ended."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread is interrupted
        return
    held: list[tuple[int, FrameType | None]] = []
    previous = {
        number: signal.signal(number, lambda *signaled: held.append(signaled))
        for number in (signal.SIGINT, *ending_signals())
    }
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        for caught, frame in held:
            handler = previous[signal.Signals(caught)]
            if callable(handler):
                handler(caught, frame)
            elif handler == signal.SIG_DFL:
                signal.raise_signal(caught)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and those that it started."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):  # it has already ended
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.wait()


def _thread(work: Callable[[Any], None], argument: Any) -> threading.Thread:
    thread = threading.Thread(target=work, args=(argument,), daemon=True)
    thread.start()
    return thread


def _lines(stream: IO[bytes]) -> Iterable[str]:
    # A stream that is closed meanwhile has no more lines.
    with contextlib.suppress(OSError, ValueError):
        while line := stream.readline(_LONGEST_LINE):
            yield line.decode("utf-8", "replace").rstrip("\r\n")
