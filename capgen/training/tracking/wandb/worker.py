"""A background process that is sent messages and never waited for.

Messages go to its stdin as lines of JSON, through a queue and a thread, so that the sender never
waits for a network or a process that hangs. It runs in its own session: Ctrl-C at the terminal
does not reach it, and it may outlive its parent to finish its work.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

# More messages than any run sends in the minutes that a server takes to answer.
_WAITING = 20_000
# A session of its own on Windows.
_NEW_GROUP = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)


class WorkerLostError(Exception):
    """The process is gone or takes no more messages; the message says why."""


class Worker:
    """A process running a module of capgen.

    It answers on its stdout with lines of JSON: `{"tell": …}` for the user, `{"failed": …}`
    before it gives up.

    Args:
        module: The module, run as `python -m`.
        folder: Its working folder.
        log: File that its stderr is added to.
        environment: Variables that it gets in addition to ours.
        tell: Called, from a thread, with its messages for the user.
    """

    def __init__(
        self,
        module: str,
        *,
        folder: Path,
        log: Path,
        environment: Mapping[str, str],
        tell: Callable[[str], None],
    ) -> None:
        self._tell = tell
        self._failed = ""
        self._bug: BaseException | None = None  # of one of our threads
        self._messages: queue.Queue[dict[str, Any] | None] = queue.Queue(_WAITING)
        # The same modules as ours, wherever they come from.
        paths = os.pathsep.join(str(Path(path).absolute()) for path in sys.path)
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=folder,
                env={**os.environ, "PYTHONPATH": paths, **environment},
                start_new_session=True,
                creationflags=_NEW_GROUP,
                text=True,
                encoding="utf-8",
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._threads = [
            threading.Thread(target=self._write, args=(self._process.stdin,), daemon=True),
            threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def send(self, kind: str, **content: Any) -> None:
        """Send a message without waiting.

        Args:
            kind: What the process should do.
            content: What it needs for that, as JSON types.

        Raises:
            WorkerLostError: The process is gone or takes no more messages.
        """
        self._check()
        try:
            self._messages.put_nowait({"kind": kind, **content})
        except queue.Full:
            raise WorkerLostError("it takes no more messages") from None

    def close(self, seconds: float) -> bool:
        """Let the process finish its work; return whether it did within `seconds`.

        Otherwise it continues on its own.

        Raises:
            WorkerLostError: It failed.
        """
        end = time.monotonic() + seconds
        self._check()
        try:
            self._messages.put(None, timeout=seconds)
            self._process.wait(max(0.0, end - time.monotonic()))
        except (queue.Full, subprocess.TimeoutExpired):
            return False
        if self._process.returncode:
            raise WorkerLostError(self._reason())
        self._threads[1].join(1)
        self._pass_on()
        return True

    def kill(self) -> None:
        """Kill the process and those that it started."""
        if hasattr(os, "killpg"):
            with suppress(ProcessLookupError):  # it has already exited
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()
        self._process.wait()

    def _pass_on(self) -> None:
        if self._bug is not None:
            raise self._bug  # with the traceback of its thread

    def _check(self) -> None:
        self._pass_on()
        if self._process.poll() is not None:
            reason = self._reason()
            self._pass_on()  # what its last words led to
            raise WorkerLostError(reason)

    def _reason(self) -> str:
        self._threads[1].join(1)  # its last words
        return self._failed or f"its process ended with code {self._process.returncode}"

    def _write(self, stream: IO[str]) -> None:
        try:
            while (message := self._messages.get()) is not None:
                stream.write(json.dumps(message) + "\n")
                stream.flush()
            stream.close()
        except OSError:
            return  # the process is gone; `send` says so
        except BaseException as error:
            self._bug = error

    def _read(self, stream: IO[str]) -> None:
        try:
            for line in stream:
                self._take(line)
        except BaseException as error:
            self._bug = error

    def _take(self, line: str) -> None:
        try:
            answer = json.loads(line)
        except ValueError:
            return  # cut off in the middle
        if not isinstance(answer, dict):
            return  # printed by a library
        if "failed" in answer:
            self._failed = str(answer["failed"])
        if "tell" in answer:
            self._tell(str(answer["tell"]))
